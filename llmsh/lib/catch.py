"""Catches signals into a pipe, so that a loop that polls hears of them like of anything else.

A signal that was ignored when we started stays ignored (nohup, a script's `&`). The terminal's and
the caller's descriptors are never made non-blocking; only the pipe of our own is.
"""

import os

from llmsh.abi.light import Any, FrameType, Iterable, Self, signal


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """The wake-up pipe does the work; Python needs a handler to write to it."""


class Catcher:
    """While entered, `read` gives the caught signals in order and `fileno` is readable when there are any."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        self._before: dict[int, Any] = {}
        self._wakeup = -1
        self._reader = self._writer = -1

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, _nothing)
        # A reader of ours that goes away is EPIPE, told to the agent; the client dies of PIPE after it.
        self._before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._reader

    def read(self) -> list[int]:
        """Signals since the last time."""
        try:
            return list(os.read(self._reader, 256))
        except BlockingIOError:
            return []

    def raise_default(self, number: int, target: int) -> None:
        """Send a signal to a process or group (0: ours) with its default action, and catch it again
        afterwards. A stop returns here on CONT, or at once where nobody could continue us (orphaned group)."""
        own = number in self._before
        if own:
            signal.signal(number, signal.SIG_DFL)
        os.kill(target, number)
        if own:
            signal.signal(number, _nothing)
