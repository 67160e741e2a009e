"""Jobs: what the shell started and has not forgotten; waiting for them.

A job is the operating system's processes of one pipeline. A process that runs agents tells their pids
through a pipe. It knows no terminal and no commands.
"""

import os
import signal
from collections.abc import Iterator

from llmsh.sh.errors import ShellError

KEPT = 1000
"""Statuses of ended background jobs that `wait` still knows."""

LISTED = 100
"""Jobs of a script that are kept after their end, for wait %1."""


class Process:
    """One child. `status` is what waitpid gave, None while it lives."""

    __slots__ = ("agents", "pid", "report", "status", "stopped")

    def __init__(self, pid: int, report: int) -> None:
        self.pid = pid
        self.report = report
        """Descriptor that its agents' pids come through, -1 once they came."""
        self.agents: list[int] = []
        self.status: int | None = None
        self.stopped = 0


class Job:
    """A pipeline under way. `number` is 0 until it is listed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.number = 0
        self.pgid = 0
        self.processes: list[Process] = []
        self.modes: list[int | list[bytes | int]] | None = None
        self.told = ""

    @property
    def done(self) -> bool:
        """Whether every process has ended."""
        return all(p.status is not None for p in self.processes)

    @property
    def stopped(self) -> bool:
        """Whether some process is stopped and none runs."""
        living = [p for p in self.processes if p.status is None]
        return bool(living) and all(p.stopped for p in living)

    def exit_status(self, pipefail: bool = False) -> int:
        """$? of the job as it is now."""
        if self.stopped:
            return 128 + max(p.stopped for p in self.processes if p.status is None)
        statuses = [plain_status(p.status or 0) for p in self.processes]
        if pipefail:
            return next((s for s in reversed(statuses) if s), 0)
        return statuses[-1] if statuses else 0

    def killed_by(self) -> int:
        """The signal that the last process died by, or 0."""
        last = self.processes[-1].status
        return plain_status(last or 0) - 128 if died(last) else 0

    def interrupted(self) -> bool:
        """Whether a process of it died by INT."""
        return any(plain_status(p.status or 0) == 128 + signal.SIGINT for p in self.processes if died(p.status))

    def state(self) -> str:
        """Running, Stopped, Done, Exit 3, Terminated ..."""
        if self.stopped:
            return "Stopped"
        if not self.done:
            return "Running"
        if number := self.killed_by():
            return signal.strsignal(number) or f"Signal {number}"
        status = self.exit_status()
        return f"Exit {status}" if status else "Done"

    def hear(self, block: bool = False) -> None:
        """Take the agents' pids that processes report; with block, wait until the last one has
        reported or ended."""
        for process in self.processes:
            if process.report < 0:
                continue
            os.set_blocking(process.report, block and process is self.processes[-1])
            try:
                data = os.read(process.report, 4096)
            except BlockingIOError:
                continue
            process.agents = [int(word) for word in data.split() if word.isdigit()]
            os.close(process.report)
            process.report = -1

    def signal(self, number: int) -> None:
        """Signal its group, and its agents where the processes that run them cannot pass it on."""
        try:
            if self.pgid:
                os.killpg(self.pgid, number)
            else:
                for process in self.processes:
                    if process.status is None:
                        os.kill(process.pid, number)
        except ProcessLookupError:
            pass  # All ended a moment ago: waitpid will tell.

    def close(self) -> None:
        """Forget its pipes."""
        for process in self.processes:
            if process.report >= 0:
                os.close(process.report)
                process.report = -1


def died(status: int | None) -> bool:
    """Whether a waitpid status is a death by signal."""
    return status is not None and os.WIFSIGNALED(status)


def plain_status(status: int) -> int:
    """A waitpid status as $?."""
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


class Jobs:
    """The table of jobs; the one place that waits for children of jobs."""

    def __init__(self) -> None:
        self._listed: dict[int, Job] = {}
        self._order: list[Job] = []
        self._processes: dict[int, tuple[Job, Process]] = {}
        self.statuses: dict[int, int] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter([self._listed[number] for number in sorted(self._listed)])

    def started(self, job: Job, pid: int, report: int) -> None:
        """A process of the job was forked; it reports its agents through `report`."""
        process = Process(pid, report)
        job.processes.append(process)
        self._processes[pid] = (job, process)

    def list(self, job: Job) -> None:
        """Give the job a number, and make it the current one."""
        if not job.number:
            job.number = max(self._listed, default=0) + 1
            self._listed[job.number] = job
        self.touch(job)

    def touch(self, job: Job) -> None:
        """Make the job the current one."""
        if job in self._order:
            self._order.remove(job)
        self._order.append(job)

    def remove(self, job: Job) -> None:
        """Forget a job that ended."""
        self._listed.pop(job.number, None)
        if job in self._order:
            self._order.remove(job)
        job.close()

    def forget(self, job: Job, pipefail: bool) -> None:
        """Drop a job that has ended, its status kept for `wait`."""
        status = job.exit_status(pipefail)
        for process in job.processes[-1:]:
            for pid in (process.pid, *process.agents[-1:]):
                self.remember(pid, status)
        self.remove(job)

    def prune(self, pipefail: bool) -> None:
        """Drop ended jobs that no prompt will tell of, once there are many: a script may start any number."""
        if len(self._listed) <= LISTED:
            return
        self.poll()
        for job in self:
            if job.done:
                self.forget(job, pipefail)

    def remember(self, pid: int, status: int) -> None:
        """Keep the status of an ended background job for `wait`."""
        self.statuses[pid] = status
        while len(self.statuses) > KEPT:
            del self.statuses[next(iter(self.statuses))]

    def clear(self) -> None:
        """In a child: its parent's jobs are not its own."""
        for job in self:
            job.close()
        self._listed.clear()
        self._order.clear()
        self._processes.clear()
        self.statuses.clear()

    # Waiting.

    def collect(self, flags: int) -> bool:
        """Note one change of a child; False when there is none (WNOHANG) or no child."""
        try:
            pid, status = os.waitpid(-1, flags)
        except ChildProcessError:
            for _, process in self._processes.values():
                process.status = 127 << 8 if process.status is None else process.status
            return False
        if pid == 0:
            return False
        if pid in self._processes:
            process = self._processes[pid][1]
            if os.WIFSTOPPED(status):
                process.stopped = os.WSTOPSIG(status)
            elif os.WIFCONTINUED(status):
                process.stopped = 0
            else:
                process.status = status
                del self._processes[pid]
        return True

    def poll(self) -> None:
        """Note every change that has happened."""
        while self.collect(os.WNOHANG | os.WUNTRACED | os.WCONTINUED):
            pass

    def wait(self, job: Job, untraced: bool) -> None:
        """Until the job has ended, or, with untraced, has stopped."""
        while not job.done and not (untraced and job.stopped):
            if not self.collect(os.WUNTRACED if untraced else 0):
                return

    # Names of jobs.

    def current(self) -> Job | None:
        """%+: the one stopped last, else the one started last."""
        stopped = [job for job in self._order if job.stopped]
        return next(reversed(stopped or self._order), None)

    def previous(self) -> Job | None:
        """%-."""
        now = self.current()
        others = [job for job in self._order if job is not now]
        stopped = [job for job in others if job.stopped]
        return next(reversed(stopped or others), None)

    def mark(self, job: Job) -> str:
        """+ for the current job, - for the one before."""
        return "+" if job is self.current() else "-" if job is self.previous() else " "

    def find(self, name: str) -> Job:
        """The job of %1, %+, %%, %-, %text, %?text. Raises ShellError."""
        key = name.removeprefix("%")
        if key in ("", "%", "+"):
            found = [self.current()]
        elif key == "-":
            found = [self.previous()]
        elif key.isascii() and key.isdigit():
            number = int(key[:18])
            found = [
                self._listed.get(number) if name.startswith("%") else self.by_pid(number) or self._listed.get(number)
            ]
        elif key.startswith("?"):
            found = [job for job in self if key[1:] in job.text]
        else:
            found = [job for job in self if job.text.startswith(key)]
        if len(found) > 1:
            raise ShellError(f"{name}: more than one job")
        if not found or found[0] is None:
            raise ShellError(f"{name}: no such job")
        return found[0]

    def by_pid(self, pid: int) -> Job | None:
        """The job whose process or agent has this pid."""
        for job in self:
            if any(pid == p.pid or pid in p.agents for p in job.processes):
                return job
        return None
