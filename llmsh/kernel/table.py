"""The process table: pids, groups, sessions, parents. It starts and ends nobody."""

from collections.abc import Iterator

from llmsh.abi.errors import Error
from llmsh.abi.limits import PID_FIRST
from llmsh.abi.states import DEAD
from llmsh.kernel.proc import Panic, Process


class Table:
    """All processes by pid. Pids rise and are not used twice; `last` comes from the journal."""

    def __init__(self, last: int = 0) -> None:
        self._last = max(last, PID_FIRST)
        self._processes: dict[int, Process] = {}
        self._groups: dict[int, set[int]] = {}
        self._sessions: dict[int, int] = {}
        self._parents: set[int] = set()
        """Who may have children here: most never do, and their end need not look at everybody."""

    def __len__(self) -> int:
        return len(self._processes)

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self._processes.values()))

    @property
    def last(self) -> int:
        """The last pid given."""
        return self._last

    def next_pid(self) -> int:
        """A pid never used before."""
        self._last += 1
        return self._last

    def add(self, process: Process) -> None:
        """Enter a process under its pid, group and session."""
        if process.pid in self._processes:
            raise Panic(f"pid {process.pid} twice")
        self._processes[process.pid] = process
        self._groups.setdefault(process.pgid, set()).add(process.pid)
        self._sessions[process.sid] = self._sessions.get(process.sid, 0) + 1
        self._parents.add(process.ppid)

    def remove(self, process: Process) -> None:
        """Take out a zombie that has been waited for."""
        process.move(DEAD)
        del self._processes[process.pid]
        self._leave(process)
        left = self._sessions[process.sid] - 1
        if left:
            self._sessions[process.sid] = left
        else:
            del self._sessions[process.sid]

    def get(self, pid: int) -> Process:
        """The process, zombies too. Raises Error ESRCH."""
        process = self._processes.get(pid)
        if process is None:
            raise Error("ESRCH", f"{pid}: no such process")
        return process

    def find(self, pid: int) -> Process | None:
        """The process or None."""
        return self._processes.get(pid)

    def group(self, pgid: int) -> list[Process]:
        """The members of a group, in order of pid. Raises Error ESRCH when it has none."""
        members = self._groups.get(pgid)
        if not members:
            raise Error("ESRCH", f"{-pgid}: no such process group")
        return [self._processes[pid] for pid in sorted(members)]

    def has_group(self, pgid: int) -> bool:
        """Whether the group has a member."""
        return pgid in self._groups

    def set_group(self, process: Process, pgid: int) -> None:
        """Move to a group."""
        self._leave(process)
        process.pgid = pgid
        self._groups.setdefault(pgid, set()).add(process.pid)

    def in_session(self, sid: int) -> int:
        """How many processes a session has."""
        return self._sessions.get(sid, 0)

    @property
    def sessions(self) -> int:
        """How many sessions have a process."""
        return len(self._sessions)

    def adopt(self, parent: int) -> None:
        """Give the children of a parent that is gone to the client that holds their descriptors, which may wait for
        them; those without one to init. So does Linux with a subreaper: prctl(2), PR_SET_CHILD_SUBREAPER."""
        if parent in self._parents:
            self._parents.discard(parent)
            for process in self:
                if process.ppid == parent:
                    process.ppid = process.reaper

    def check(self) -> list[str]:
        """Faults in the table's books."""
        grouped = sorted(pid for members in self._groups.values() for pid in members)
        faults = []
        if grouped != sorted(self._processes):
            faults.append("groups and processes differ")
        if sum(self._sessions.values()) != len(self._processes):
            faults.append("sessions and processes differ")
        return faults

    def _leave(self, process: Process) -> None:
        members = self._groups[process.pgid]
        members.discard(process.pid)
        if not members:
            del self._groups[process.pgid]
