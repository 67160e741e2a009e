"""Processes named on a command line: pids, groups, and signals by name. Source: kill(1).

Pids up to 2**22 are the machine's own, those above are agents: one number means one thing. 1 is init,
ours and the machine's, and takes nothing from here; -1 is every agent, never every process of the machine.
"""

import os

from llmsh.abi import signals
from llmsh.abi.errors import Error
from llmsh.abi.limits import INIT, PID_FIRST
from llmsh.lib import calls, spawn
from llmsh.lib.conn import Connection
from llmsh.lib.options import Usage

EVERYBODY = -1
"""Every agent."""


def pid(word: str) -> int:
    """A pid, a group when negative, 0 for the caller's own group. Raises Usage."""
    text = word[1:] if word[:1] == "-" else word
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 53:
        raise Usage(f"{word!r} is not a pid")
    return int(word)


def signal(word: str) -> int:
    """A signal's number by name or number. Raises Usage."""
    try:
        return signals.number(word)
    except ValueError as exc:
        raise Usage(str(exc)) from None


def is_agent(number: int) -> bool:
    """Whether this pid (or group, negative) is an agent's. Raises Error EPERM for init's."""
    if number == INIT:
        raise Error("EPERM", "1: init takes no signal and no nice value")
    return number == EVERYBODY or abs(number) >= PID_FIRST


def no_such(number: int) -> Error:
    """What is said of a pid that nobody has."""
    what = "process group" if number < 0 else "process"
    return Error("ESRCH", f"{number}: no such {what}")


def named(number: int, error: Error) -> Error:
    """The same error, saying whom it is about."""
    return error if str(abs(number)) in error.detail else Error(error.code, f"{number}: {error.detail}")


class Machine:
    """Both tables of processes: the kernel's by a connection made when first needed, the OS's."""

    def __init__(self) -> None:
        self._conn: Connection | None = None
        self._asked = False

    def running(self) -> Connection | None:
        """The kernel, if one runs."""
        if not self._asked:
            self._conn, self._asked = spawn.running(), True
        return self._conn

    def conn(self, number: int) -> Connection:
        """The kernel, to ask about this pid. Raises Error ESRCH when none runs."""
        conn = self.running()
        if conn is None:
            raise no_such(number)
        return conn

    def kill(self, number: int, sig: int) -> None:
        """Send a signal to a process or a group (negative). Raises Error ESRCH, EPERM."""
        try:
            if is_agent(number):
                calls.kill(self.conn(number), number, sig)
            else:
                os.kill(number, sig)
        except ProcessLookupError:
            raise no_such(number) from None
        except PermissionError:
            raise Error("EPERM", f"{number}: operation not permitted") from None
        except Error as error:
            raise named(number, error) from None
