"""Children of the shell: forked for a pipeline's parts and for command substitutions, and waited for.

It knows descriptors, groups and signals; what a child runs is a function that it is given.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, NoReturn

from llmsh.sh import redirect
from llmsh.sh.errors import ExitShell, Interrupted, ShellError
from llmsh.sh.job import Job, plain_status
from llmsh.sh.redirect import cause
from llmsh.sh.shell import Shell
from llmsh.sh.terminal import Terminal
from llmsh.sh.tree import List

OUTPUT_MAX = 256 << 20
"""Bytes of one command substitution."""

Report = Callable[[list[int]], None]
Body = Callable[[Report], int]
"""What a child runs: it is given how to tell the pids of its agents, and gives its exit status."""

_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_DEFAULTS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, *_STOPS)
_HELD = frozenset(_DEFAULTS)
"""Signals that wait while children are made: what is typed then is for the job, not for us."""
_PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)


class _Place(NamedTuple):
    """Where a child of a pipeline stands; -1 for a descriptor that it has as it is."""

    pgid: int
    source: int
    sink: int
    told: int
    gate: int
    background: bool
    control: bool
    mask: set[int]


def _pipe() -> tuple[int, int]:
    """A pipe out of the way of a script's descriptors."""
    read, write = os.pipe()
    return redirect.private(read), redirect.private(write)


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
    except BaseException as error:  # noqa: BLE001 - a child must end here, whatever our bug was
        status = failed(shell, error)
    finally:
        try:
            sys.stdout and sys.stdout.flush()
        except OSError as error:
            shell.complain(f"write error: {cause(error)}")
            status = status or 1
        os._exit(status & 255)


def failed(shell: Shell, error: BaseException) -> int:
    """One line for what nobody expected; its status. LLMSH_DEBUG shows where it was."""
    if os.environ.get("LLMSH_DEBUG"):
        sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, RecursionError):
        shell.complain("nested too deeply")
        return 2
    if isinstance(error, OSError):
        shell.complain(f"{error.filename}: {cause(error)}" if error.filename else cause(error))
        return 1
    shell.complain(f"bug: {type(error).__name__}: {error} (LLMSH_DEBUG=1 shows where)")
    return 70


def die(number: int) -> NoReturn:
    """End this process by a signal."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # Only pid 1 of a container comes here.


def spawn(shell: Shell, bodies: list[Body], text: str, background: bool) -> Job:
    """Start a pipeline: a child for each body, joined by pipes."""
    job = Job(text)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    # No child runs before all are there, or a Ctrl-Z could stop a part of the job only.
    gate, opened = _pipe() if shell.job_control and len(bodies) > 1 else (-1, -1)
    source = -1
    try:
        for index, body in enumerate(bodies):
            read, write = (-1, -1) if index == len(bodies) - 1 else _pipe()
            tell, told = _pipe()
            pid = _fork_or_close(job, (source, read, write, tell, told))
            if pid == 0:
                _close(tell, read, opened)
                place = _Place(job.pgid, source, write, told, gate, background, shell.job_control, mask)
                _finish(shell, partial(_enter, shell, place, body))
            if shell.job_control:
                job.pgid = job.pgid or pid
                _set_group(pid, job.pgid)
                if index == 0 and not background and shell.terminal:
                    shell.terminal.give(job.pgid)
            shell.jobs.started(job, pid, tell)
            _close(source, write, told)
            source = read
        # Before signals come again: whoever waits for this job takes an INT as meant for it.
        shell.waiting = not background
    finally:
        _close(gate, opened)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return job


def _fork_or_close(job: Job, fds: tuple[int, ...]) -> int:
    try:
        return _fork()
    except ShellError:
        _close(*fds)
        job.signal(signal.SIGTERM)
        raise


def _close(*fds: int) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)


def _set_group(pid: int, pgid: int) -> None:
    # Both sides set it. It fails when the child has ended, or did it and called exec.
    with suppress(OSError):
        os.setpgid(pid, pgid)


def _enter(shell: Shell, place: _Place, body: Body) -> int:
    """A child of a pipeline: its group, descriptors and signals, then its body."""
    if place.control:
        os.setpgid(0, place.pgid)
        if not place.background and shell.terminal:
            shell.terminal.give(os.getpgrp())
    _begin(shell)
    default_signals(shell)
    source = place.source
    if place.background and not place.control:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, signal.SIG_IGN)
        if source < 0:
            source = redirect.private(os.open(os.devnull, os.O_RDONLY))
    signal.pthread_sigmask(signal.SIG_SETMASK, place.mask)
    if place.gate >= 0:
        os.read(place.gate, 1)
        os.close(place.gate)
    for fd, wanted in ((source, 0), (place.sink, 1)):
        if fd >= 0:
            os.dup2(fd, wanted, inheritable=True)
            os.close(fd)
    return body(_Teller(place.told))


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
            _take_back(shell.terminal, job)
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


def _take_back(terminal: Terminal, job: Job) -> None:
    terminal.give(terminal.group)
    if job.stopped:
        job.modes = terminal.modes()
    if job.done and job.exit_status() == 0:
        terminal.adopt()
    else:
        terminal.restore()


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
    read, write = _pipe()
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
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        shell.ignored |= set(_STOPS)
    os.dup2(write, 1, inheritable=True)
    os.close(write)
    return shell.run(shell, body)
