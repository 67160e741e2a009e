"""bg: let stopped jobs go on in the background. See bg(1)."""

from llmsh.abi import signals
from llmsh.lib import calls, jobs, spawn, term
from llmsh.lib.command import Command
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "bg",
    "let stopped jobs go on in the background",
    ("[JOB]...",),
    operands="pid",
    notes="JOB is %N, %NAME or a pid; without one, the job stopped last.",
)


def main(argv: list[str]) -> int:
    """Continue each job."""
    given = parse(COMMAND, argv)
    conn = spawn.running()
    if conn is None:
        raise Usage("no current job")
    every = jobs.listed(conn)
    for word in given.operands or [""]:
        job = jobs.find(every, word)
        calls.foreground(conn, job.pgid, on=False)
        calls.kill(conn, -job.pgid, signals.CONT)
        term.line(f"[{job.number}]+ {job.text} &")
    return 0
