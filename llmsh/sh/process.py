"""Children of the shell: forked for a pipeline's parts and for command substitutions, and waited for.

It knows descriptors, groups and signals; what a child runs is a function that it is given.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from llmsh.sh import redirect
from llmsh.sh.errors import ExitShell, Interrupted, ShellError
from llmsh.sh.job import Job, plain_status
from llmsh.sh.redirect import cause
from llmsh.sh.shell import Shell
from llmsh.sh.tree import List

OUTPUT_MAX = 256 << 20
"""Bytes of one command substitution."""

Report = Callable[[list[int]], None]
Body = Callable[[Report], int]
"""What a child runs: it is given how to tell the pids of its agents, and gives its exit status."""

_DEFAULTS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)


def _fork() -> int:
    sys.stdout and sys.stdout.flush()
    try:
        return os.fork()
    except OSError as error:
        raise ShellError(f"cannot fork: {cause(error)}") from error


def default_signals(shell: Shell) -> None:
    """Every signal as a program expects it; those ignored when the shell began stay ignored."""
    for number in _PYTHON_IGNORES:
        signal.signal(number, signal.SIG_DFL)
    for number in _DEFAULTS:
        signal.signal(number, signal.SIG_IGN if number in shell.ignored else signal.SIG_DFL)


def _begin(shell: Shell) -> None:
    """In a fresh child: forget what is the parent's."""
    shell.is_child = True
    shell.interactive = False
    shell.jobs.clear()
    for saved in shell.saved:
        redirect.forget(saved)


def _finish(shell: Shell, body: Callable[[], int]) -> NoReturn:
    """Run a child's body and end as it says. No exception passes."""
    status = 70
    try:
        status = body()
    except ExitShell as error:
        status = error.status
    except ShellError as error:
        shell.complain(str(error))
        status = error.status
    except (KeyboardInterrupt, Interrupted):
        die(signal.SIGINT)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except RecursionError:
        shell.complain("nested too deeply")
        status = 2
    except BaseException as error:  # noqa: BLE001 - a child must end here, whatever our bug was
        shell.complain(f"internal error: {type(error).__name__}: {error}")
    finally:
        try:
            sys.stdout and sys.stdout.flush()
        except OSError as error:
            shell.complain(f"write error: {cause(error)}")
            status = status or 1
        os._exit(status & 255)


def die(number: int) -> NoReturn:
    """End this process by a signal."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # Only pid 1 of a container comes here.


def spawn(shell: Shell, bodies: list[Body], text: str, background: bool) -> Job:
    """Start a pipeline: a child for each body, joined by pipes."""
    job = Job(text)
    control = shell.job_control
    source = -1
    for index, body in enumerate(bodies):
        read, write = (-1, -1) if index == len(bodies) - 1 else os.pipe()
        tell, told = os.pipe()
        pid = _fork_or_close(job, (source, read, write, tell, told))
        if pid == 0:
            ends = (source, write, told)
            os.close(tell)
            if read >= 0:
                os.close(read)
            _finish(shell, lambda: _enter(shell, job.pgid, ends, background, control, body))
        if control:
            job.pgid = job.pgid or pid
            _set_group(pid, job.pgid)
            if index == 0 and not background and shell.terminal:
                shell.terminal.give(job.pgid)
        shell.jobs.started(job, pid, redirect.private(tell))
        for fd in (source, write, told):
            if fd >= 0:
                os.close(fd)
        source = read
    return job


def _fork_or_close(job: Job, fds: tuple[int, ...]) -> int:
    try:
        return _fork()
    except ShellError:
        for fd in fds:
            if fd >= 0:
                os.close(fd)
        job.signal(signal.SIGTERM)
        raise


def _set_group(pid: int, pgid: int) -> None:
    try:
        os.setpgid(pid, pgid)
    except OSError:
        pass  # It has ended, or has done so itself and called exec: both sides set the group.


def _enter(shell: Shell, pgid: int, ends: tuple[int, int, int], background: bool, control: bool, body: Body) -> int:
    """A child of a pipeline: its group, descriptors and signals, then its body."""
    source, sink, told = ends
    if control:
        os.setpgid(0, pgid)
        if not background and shell.terminal:
            shell.terminal.give(os.getpgrp())
    _begin(shell)
    default_signals(shell)
    if background and not control:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, signal.SIG_IGN)
        if source < 0:
            source = os.open(os.devnull, os.O_RDONLY)
    told = redirect.private(told)
    for fd, place in ((source, 0), (sink, 1)):
        if fd >= 0 and fd != place:
            os.dup2(fd, place, inheritable=True)
            os.close(fd)
    return body(_Teller(told))


class _Teller:
    """Tells the shell, once, which agents this child stands for; the shell may be waiting for it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __call__(self, pids: list[int]) -> None:
        if self._fd >= 0:
            os.write(self._fd, (" ".join(map(str, pids)) + "\n").encode())
            os.close(self._fd)
            self._fd = -1


def subshell(shell: Shell, body: List) -> Body:
    """A list as a child's body."""

    def run(report: Report) -> int:
        report([])
        return shell.run(shell, body)

    return run


# Waiting.


def foreground(shell: Shell, job: Job) -> int:
    """Wait for a job that has the terminal; $? of it. Lists it if it stopped."""
    shell.waiting = True
    try:
        _wait(shell, job)
    finally:
        shell.waiting = False
        if shell.job_control and shell.terminal:
            _take_back(shell, job)
    status = job.exit_status(shell.pipefail)
    if job.stopped:
        shell.jobs.list(job)
        job.told = "Stopped"
        if shell.interactive:
            shell.complain_plain("\n" + job_line(shell, job))
        return status
    shell.jobs.remove(job)
    if shell.interactive:
        _say_how_it_died(shell, job)
    if job.interrupted() and (shell.interactive or shell.interrupted):
        raise Interrupted
    shell.interrupted = False
    return status


def _wait(shell: Shell, job: Job) -> None:
    while True:
        try:
            shell.jobs.wait(job, untraced=shell.job_control)
            return
        except KeyboardInterrupt:
            continue  # Sent to the shell alone: the job goes on, and so do we.


def _take_back(shell: Shell, job: Job) -> None:
    assert shell.terminal is not None
    shell.terminal.give(shell.terminal.group)
    if job.stopped:
        job.modes = shell.terminal.modes()
    if job.done and job.exit_status() == 0:
        shell.terminal.adopt()
    else:
        shell.terminal.restore()


def _say_how_it_died(shell: Shell, job: Job) -> None:
    number = job.killed_by()
    if number == signal.SIGINT:
        shell.complain_plain("")
    elif number and number != signal.SIGPIPE:
        shell.complain_plain(signal.strsignal(number) or f"Signal {number}")


def job_line(shell: Shell, job: Job) -> str:
    """A job as `jobs` shows it."""
    tail = " &" if job.state() == "Running" else ""
    return f"[{job.number}]{shell.jobs.mark(job)}  {job.state():<24}{job.text}{tail}"


# Command substitution.


def capture(shell: Shell, body: List) -> str:
    """Run a list in a child; what it wrote to standard output."""
    read, write = os.pipe()
    pid = _fork()
    if pid == 0:
        os.close(read)
        _finish(shell, lambda: _captured(shell, write, body))
    os.close(write)
    data = bytearray()
    shell.waiting = True
    try:
        while piece := os.read(read, 65536):
            data += piece
            if len(data) > OUTPUT_MAX:
                raise ShellError(f"$(...): more than {OUTPUT_MAX} bytes of output")
    finally:
        os.close(read)
        _, status = os.waitpid(pid, 0)
        shell.waiting = False
    shell.substituted = shell.status = plain_status(status)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT and (shell.interactive or shell.interrupted):
        raise Interrupted
    return data.decode("utf-8", "surrogateescape")


def _captured(shell: Shell, write: int, body: List) -> int:
    control = shell.job_control
    _begin(shell)
    default_signals(shell)
    if control:
        # In the shell's own group Ctrl-Z would stop the child and leave the shell waiting.
        for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)
        shell.ignored |= {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    if write != 1:
        os.dup2(write, 1, inheritable=True)
        os.close(write)
    return shell.run(shell, body)
