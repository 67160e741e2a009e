"""Signals: names, numbers and default actions, as Linux has them on x86-64. Source: signal(7)."""

HUP, INT, QUIT, KILL, USR1, USR2, PIPE, ALRM, TERM = 1, 2, 3, 9, 10, 12, 13, 14, 15
CHLD, CONT, STOP, TSTP, TTIN, TTOU = 17, 18, 19, 20, 21, 22

TERMINATE, IGNORE, HALT, RESUME = "term", "ign", "stop", "cont"

SIGNALS: dict[int, tuple[str, str]] = {
    HUP: ("HUP", TERMINATE),
    INT: ("INT", TERMINATE),
    QUIT: ("QUIT", TERMINATE),
    KILL: ("KILL", TERMINATE),
    USR1: ("USR1", TERMINATE),
    USR2: ("USR2", TERMINATE),
    PIPE: ("PIPE", TERMINATE),
    ALRM: ("ALRM", TERMINATE),
    TERM: ("TERM", TERMINATE),
    CHLD: ("CHLD", IGNORE),
    CONT: ("CONT", RESUME),
    STOP: ("STOP", HALT),
    TSTP: ("TSTP", HALT),
    TTIN: ("TTIN", HALT),
    TTOU: ("TTOU", HALT),
}
"""Number to (name, default action)."""

NUMBERS: dict[str, int] = {name: number for number, (name, _) in SIGNALS.items()}


def number(text: str) -> int:
    """The number of a signal given as `9`, `KILL`, `SIGKILL` or `kill`; 0 is the null signal.

    Raises ValueError for a name or number that is not a signal here.
    """
    if text.isascii() and text.isdigit():
        value = int(text)
        if value == 0 or value in SIGNALS:
            return value
        raise ValueError(f"{text}: no such signal")
    name = text.upper().removeprefix("SIG")
    if name not in NUMBERS:
        raise ValueError(f"{text}: no such signal")
    return NUMBERS[name]


def name(value: int) -> str:
    """The name of a signal without SIG, or its number as text."""
    return SIGNALS[value][0] if value in SIGNALS else str(value)


def status(value: int) -> int:
    """The exit status a shell gives to a process that died by this signal."""
    return 128 + value
