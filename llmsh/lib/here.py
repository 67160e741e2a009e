"""Where this command was called from: its OS session and terminal. Source: proc_pid_stat(5).

It asks the machine and never the kernel of ours.
"""

import os


def _stat() -> list[str]:
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(") ")[2].split()


def session() -> int:
    """The OS session id, as `sid` in ps."""
    return os.getsid(0)


def terminal_name(number: int) -> str:
    """A terminal's short name by its device number: pts/3, tty1, or ?."""
    major, minor = os.major(number), os.minor(number)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return f"{major}:{minor}" if number else "?"


def terminal() -> str:
    """The controlling terminal's short name, ? for none."""
    return terminal_name(int(_stat()[4]))
