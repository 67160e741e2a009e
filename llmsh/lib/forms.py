"""How values are written for people and for programs: times, sizes, JSON records.

It knows no command and no record.
"""

from llmsh.abi.light import Any
from llmsh.lib import term


def record(row: dict[str, Any]) -> None:
    """One JSON record on a line of standard output."""
    records([row])


def records(rows: list[dict[str, Any]]) -> None:
    """One JSON record a line, written at once."""
    import json  # it loads re and enum, which few commands need

    term.out("".join(json.dumps(row) + "\n" for row in rows))


def clock(seconds: float) -> str:
    """A time used, as ps shows it: [DD-]HH:MM:SS."""
    total = int(seconds)
    days, rest = divmod(total, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def elapsed(seconds: float) -> str:
    """A time since a start, as ps -o etime shows it: [[DD-]HH:]MM:SS."""
    total = int(seconds)
    days, rest = divmod(total, 86400)
    hours = rest // 3600
    text = f"{rest // 60 % 60:02}:{rest % 60:02}"
    if days:
        return f"{days}-{hours:02}:{text}"
    return f"{hours:02}:{text}" if hours else text


def duration(seconds: float) -> str:
    """A time for reading: 45 s, 3 min, 2:05, 4 days, 2:05."""
    minutes = int(seconds) // 60
    days, minutes = divmod(minutes, 1440)
    day = f"{days} day{'s' * (days > 1)}, " if days else ""
    if minutes >= 60:
        return f"{day}{minutes // 60}:{minutes % 60:02}"
    return f"{day}{minutes} min" if minutes or days else f"{int(seconds)} s"


def human(size: float) -> str:
    """Bytes as free -h shows them: 512B, 1.5Ki, 23Mi."""
    units = ["B", "Ki", "Mi", "Gi"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.0f}{units[0]}" if units[0] == "B" or size >= 10 else f"{size:.1f}{units[0]}"
