"""The OS process at the other end of a connection, as /proc and the socket describe it.

Source: unix(7) SO_PEERCRED, proc_pid_stat(5), admin-guide/devices.txt.
"""

import os
import signal
import socket
import struct

_UCRED = struct.Struct("iII")
_PTS_MAJORS = range(136, 144)
_TTY_MAJOR = 4
_SERIAL_FIRST = 64


def credentials(sock: socket.socket) -> tuple[int, int]:
    """(pid, uid) of who connected; pid 0 when it is in a pid namespace that we do not see."""
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return pid, uid


def stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state (field 3) on; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in brackets, may hold anything, brackets too.
            return file.read().rpartition(b") ")[2].decode("ascii", "replace").split()
    except OSError:
        return []


def terminal(number: int) -> str:
    """A terminal's name without /dev/ from its tty_nr, as pts/3; empty for none."""
    if number <= 0:
        return ""
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    if major in _PTS_MAJORS:
        return f"pts/{minor + ((major - _PTS_MAJORS[0]) << 8)}"
    if major == _TTY_MAJOR:
        return f"tty{minor}" if minor < _SERIAL_FIRST else f"ttyS{minor - _SERIAL_FIRST}"
    return f"{major}:{minor}"


class Peer:
    """Implements kernel.caller.Peer. Session and terminal are those of the moment of connecting."""

    def __init__(self, pid: int, uid: int) -> None:
        self.pid = pid
        self.uid = uid
        fields = stat(pid)
        self.sid = int(fields[3]) if fields else 0
        self.tty = terminal(int(fields[4])) if fields else ""
        self._born = fields[19] if fields else ""

    def _fields(self) -> list[str]:
        """Fields of now, unless the pid is another process's by now."""
        fields = stat(self.pid) if self.pid and self._born else []
        return fields if fields and fields[19] == self._born else []

    def foreground(self) -> bool:
        """Whether its group is the foreground of its terminal."""
        fields = self._fields()
        return bool(fields) and fields[4] != "0" and fields[2] == fields[5]

    def stopped(self) -> bool:
        """Whether it is stopped."""
        fields = self._fields()
        return bool(fields) and fields[0] in ("T", "t")

    def cont(self) -> None:
        """Send it SIGCONT."""
        if self._fields():
            try:
                os.kill(self.pid, signal.SIGCONT)
            except (ProcessLookupError, PermissionError):
                return
