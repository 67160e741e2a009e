"""The kernel's messages: a numbered ring that `dmesg` reads, each line handed on to the log file.

It writes no file: `mirror` does. Source: dmesg(1).
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from llmsh.abi.levels import split
from llmsh.abi.limits import HEAD_MAX
from llmsh.kernel.clock import Clock

LINES_MAX = 1000
LINE_MAX = 1000
"""Characters of one message; what is longer is cut."""
FOLLOWERS_MAX = 1024
ROW_COST = 128
"""Bytes of a row in a frame, but for its line; a character of that is at most 12."""


class Console:
    """The last LINES_MAX messages. Numbers rise by one from 1, for as long as the daemon lives."""

    def __init__(self, clock: Clock, mirror: Callable[[str], None] | None = None, size: int = LINES_MAX) -> None:
        self._clock = clock
        self._mirror = mirror
        self._began = clock.now()
        self._rows: deque[dict[str, Any]] = deque(maxlen=size)
        self._followers: dict[int, Callable[[], None]] = {}
        self._next_follower = 0
        self.last = 0
        """Number of the newest message, 0 before the first."""

    def say(self, line: str) -> None:
        """Keep one message, hand it on, and wake who waits for one. It may begin with its level: abi/levels.py."""
        self.last += 1
        level, line = split(line)
        line = " ".join(line.split("\n"))[:LINE_MAX]
        up_ms = int((self._clock.now() - self._began) * 1000)
        stamp = round(self._clock.wall(), 3)
        self._rows.append({"n": self.last, "time": stamp, "up_ms": up_ms, "level": level, "line": line})
        if self._mirror is not None:
            self._mirror(line)
        waiting, self._followers = self._followers, {}
        for call in waiting.values():
            call()

    def rows(self, after: int = 0) -> list[dict[str, Any]]:
        """Messages with a number above `after`, as far as they are kept: n, time (epoch seconds),
        up_ms (since the start), level, line."""
        return [row for row in self._rows if row["n"] > after]

    def page(self, after: int = 0) -> list[dict[str, Any]]:
        """The first of those rows, as many as fit the head of a frame; at least one if there is any."""
        room = HEAD_MAX - ROW_COST
        out: list[dict[str, Any]] = []
        for row in self.rows(after):
            line = row["line"]
            room -= ROW_COST + len(line) * (2 if line.isascii() and line.isprintable() else 12)
            if room < 0 and out:
                break
            out.append(row)
        return out

    def follow(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call once at the next message. Gives what takes it back."""
        self._next_follower += 1
        number = self._next_follower
        if len(self._followers) >= FOLLOWERS_MAX:
            self._followers.pop(next(iter(self._followers)))()
        self._followers[number] = call
        return partial(self._leave, number)

    def _leave(self, number: int) -> None:
        self._followers.pop(number, None)
