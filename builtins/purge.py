"""purge: forget what has ended. See purge(1)."""

from llmsh.lib import calls, forms, spawn, term
from llmsh.lib.command import JSON, Command
from llmsh.lib.options import bare

COMMAND = Command(
    "purge",
    "forget processes that have ended: statuses, journal records and logs",
    ("[--json]",),
    (JSON,),
    notes="What runs keeps its log. The daemon owns these files: it is started if it does not run.",
)


def main(argv: list[str]) -> int:
    """One line: how many processes, and how many bytes of logs."""
    given = bare(COMMAND, argv)
    gone = calls.purge(spawn.connect())
    if given.flag("json"):
        forms.record(gone)
    else:
        term.line(f"{gone['processes']} processes forgotten, {forms.human(gone['bytes'])} of logs removed")
    return 0
