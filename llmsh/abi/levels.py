"""Levels of the kernel's messages, as dmesg(1) names them, and how a message says which is its own.

A line says so by its first two characters, as a line of Linux's printk does; one that says nothing is information.
So whoever has something to tell needs no more than a way to say a line.
"""

LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
"""The gravest first. Source: syslog(3)."""
_MARK = "\x01"
CRIT, ERR, WARN, NOTICE = (f"{_MARK}{LEVELS.index(name)}" for name in ("crit", "err", "warn", "notice"))
"""To begin a line with. CRIT is our own bug; ERR: something was lost, or cannot be done any more; WARN: it may come
to that, or somebody waited; NOTICE is as it should be, but rare."""


def split(line: str) -> tuple[str, str]:
    """The name of a line's level, and the line without its mark."""
    if line[:1] == _MARK and line[1:2] in tuple("01234567"):
        return LEVELS[int(line[1])], line[2:]
    return "info", line
