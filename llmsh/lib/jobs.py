"""Jobs outside the shell: the process groups of this OS session, with numbers as %1, %2.

The shell has a job table of its own; here the kernel's process table is all there is.
"""

from llmsh.abi.errors import Error
from llmsh.abi.light import NamedTuple
from llmsh.lib import calls, here
from llmsh.lib.conn import Connection
from llmsh.lib.processes import Row


class Job(NamedTuple):
    """One group: `number` counts from 1 in order of start."""

    number: int
    pgid: int
    rows: list[Row]

    @property
    def stopped(self) -> bool:
        """Whether all that lives of it is stopped."""
        return all(str(row["stat"])[:1] in "TZ" for row in self.rows) and any(
            str(row["stat"])[:1] == "T" for row in self.rows
        )

    @property
    def state(self) -> str:
        """In the shell's words."""
        if all(str(row["stat"])[:1] == "Z" for row in self.rows):
            return "Done"
        return "Stopped" if self.stopped else "Running"

    @property
    def text(self) -> str:
        """Its command line."""
        return " | ".join(str(row["args"]) for row in self.rows)


def listed(conn: Connection) -> list[Job]:
    """The jobs of this session, oldest first."""
    sid = here.session()
    groups: dict[int, list[Row]] = {}
    for row in sorted(calls.ps(conn), key=lambda row: int(row["pid"])):
        if row["sid"] == sid:
            groups.setdefault(row["pgid"], []).append(row)
    return [Job(at + 1, pgid, rows) for at, (pgid, rows) in enumerate(groups.items())]


def current(jobs: list[Job]) -> list[Job]:
    """Jobs by how current they are: stopped ones first, later ones first."""
    return sorted(jobs, key=lambda job: (job.stopped, job.number), reverse=True)


def marks(jobs: list[Job]) -> dict[int, str]:
    """By number: + for the current job, - for the one after it, and nothing for the others."""
    return {job.number: mark for job, mark in zip(current(jobs), "+-", strict=False)}


def find(jobs: list[Job], word: str) -> Job:
    """A job by %N, %+, %-, %NAME, a pid or nothing (the current one). Raises Error ESRCH."""
    ranked = current(jobs)
    if word in ("", "%", "%%", "%+", "%-"):
        at = int(word == "%-" and len(ranked) > 1)
        if not ranked:
            raise Error("ESRCH", "no current job")
        return ranked[at]
    name = word[1:] if word.startswith("%") else ""
    for job in jobs:
        if name and (name == str(job.number) or (not name.isdigit() and job.text.startswith(name))):
            return job
        if word.isdigit() and int(word) in (job.pgid, *(row["pid"] for row in job.rows)):
            return job
    raise Error("ESRCH", f"{word}: no such job")
