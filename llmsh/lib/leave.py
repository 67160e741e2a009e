"""Ends this OS process as an agent ended: by its signal, or with its status.

A client that died of the signal itself, rather than exiting 130, is what ends a shell's `for` loop
on Ctrl-C. It knows nothing of agents.
"""

import os

from llmsh.abi.light import Mapping, NamedTuple, NoReturn, signal


class Ending(NamedTuple):
    """How a process ended: `signal` is 0, or the number it died by."""

    pid: int
    status: int
    signal: int = 0
    reason: str = ""

    @property
    def code(self) -> int:
        """The exit status a shell shows."""
        return 128 + self.signal if self.signal else self.status


def ending_of(pid: int, head: Mapping[str, object]) -> Ending:
    """How a process ended, as the answer of wait(2) and the event `exit` say it."""
    number, status = (int(str(head.get(name) or 0)) for name in ("signal", "status"))
    return Ending(pid, status, number, str(head.get("reason") or ""))


def die_by(number: int) -> NoReturn:
    """Die by this signal, without a core."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # pid 1 of a container survives its own signals


def leave(ending: Ending) -> NoReturn:
    """End as that process ended."""
    if ending.signal:
        die_by(ending.signal)
    os._exit(ending.status)
