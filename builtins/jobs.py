"""jobs: the jobs of this session. See jobs(1)."""

from llmsh.lib import forms, jobs, spawn, term
from llmsh.lib.command import JSON, Command, flag
from llmsh.lib.options import parse

COMMAND = Command(
    "jobs",
    "list the jobs of this session: its process groups",
    ("[-l | -p] [-r] [-s] [JOB]...",),
    (
        flag("-l", "--long", help="pids, too"),
        flag("-p", "--pids", help="only the pids of the groups' leaders"),
        flag("-r", "--running", help="only running jobs"),
        flag("-s", "--stopped", help="only stopped jobs"),
        JSON,
    ),
)


def main(argv: list[str]) -> int:
    """Print one line a job."""
    given = parse(COMMAND, argv)
    conn = spawn.running()
    every = jobs.listed(conn) if conn else []
    marks = jobs.marks(every)
    chosen = [jobs.find(every, word) for word in given.operands] or every
    for job in chosen:
        if (given.flag("running") and job.state != "Running") or (given.flag("stopped") and job.state != "Stopped"):
            continue
        if given.flag("json"):
            pids = [row["pid"] for row in job.rows]
            forms.record(
                {"job": job.number, "pgid": job.pgid, "pids": pids, "state": job.state.lower(), "args": job.text}
            )
        elif given.flag("pids"):
            term.line(str(job.pgid))
        else:
            pid = f"{job.pgid} " if given.flag("long") else ""
            term.line(f"[{job.number}]{marks.get(job.number, ' ')} {pid}{job.state:<23} {job.text}")
    return 0
