"""sched: show or choose the scheduling policy. See sched(1)."""

from llmsh.lib import calls, forms, spawn, term
from llmsh.lib.command import JSON, Command
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "sched",
    "show or choose the policy by which processes get tokens",
    ("[POLICY]",),
    (JSON,),
    notes="Without POLICY: the one in use, with an asterisk, among all. A choice holds until the daemon ends; "
    "`policy` in llmshd.toml(5) is what it begins with.",
    choices=("fair", "deadline", "fcfs", "mlfq", "rr"),
)


def main(argv: list[str]) -> int:
    """2 when there is no such policy, 1 when nobody is there to follow it."""
    given = parse(COMMAND, argv)
    if len(given.operands) > 1:
        raise Usage("one policy")
    chosen = given.operands[0] if given.operands else ""
    conn = spawn.running()
    if chosen and conn is None:
        term.complain("sched", "llmshd is not running: what it begins with is policy in llmshd.toml(5)")
        return 1
    answer = calls.sched(conn, chosen) if conn else {}
    if given.flag("json"):
        forms.record({"running": conn is not None, **answer})
    elif conn is None:
        term.line("llmshd is not running")
    elif not chosen:
        for name in answer["policies"]:
            term.line(f"{'*' if name == answer['policy'] else ' '} {name}")
    return 0
