"""bg: let stopped jobs go on in the background. See bg(1)."""

from llmsh.abi import signals
from llmsh.abi.errors import Error
from llmsh.lib import calls, jobs, spawn, term
from llmsh.lib.command import Command
from llmsh.lib.options import parse

COMMAND = Command(
    "bg",
    "let stopped jobs go on in the background",
    ("[JOB]...",),
    operands="pid",
    notes="JOB is %N, %NAME or a pid; without one, the job stopped last.",
)


def main(argv: list[str]) -> int:
    """Continue each job; 1 when there is no such job for one of them."""
    given = parse(COMMAND, argv)
    conn = spawn.running()
    every = jobs.listed(conn) if conn else []
    marks = jobs.marks(every)
    status = 0
    for word in given.operands or [""]:
        try:
            job = jobs.find(every, word)
        except Error as error:
            term.complain("bg", error.detail)
            status = 1
            continue
        assert conn is not None, "who has a job runs"
        calls.foreground(conn, job.pgid, on=False)
        calls.kill(conn, -job.pgid, signals.CONT)
        term.line(f"[{job.number}]{marks.get(job.number, ' ')} {job.text} &")
    return status
