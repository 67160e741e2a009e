"""Faults on order, for tests of what happens after them. LLMSH_ENGINE_FAULT in the environment is one of

    abort:TEXT      os.abort() in the step of a sequence whose log contains TEXT
    hang:TEXT       that step never ends
    exit-after:N    the process ends by SIGKILL once N steps have been sent

It knows no more of the engine than that. Without the variable it does nothing.
"""

import os
import signal

from llmsh.engine.channel import Channel
from llmsh.engine.plan import Work

VARIABLE = "LLMSH_ENGINE_FAULT"


class Fault:
    """What was ordered."""

    def __init__(self, order: str = "") -> None:
        self._kind, _, argument = order.partition(":")
        self._text = argument.encode()
        self._left = int(argument) if self._kind == "exit-after" and argument.isdigit() else -1

    def before(self, works: list[Work], pieces: list[bytes]) -> None:
        """A step is about to be decoded."""
        if self._kind not in {"abort", "hang"}:
            return
        for work in works:
            if self._text in b"".join(pieces[token] for token in work.sequence.log):
                if self._kind == "abort":
                    os.abort()
                while True:
                    signal.pause()

    def after(self, channel: Channel) -> None:
        """A step has been made."""
        if self._left > 0:
            self._left -= 1
            if not self._left:
                channel.flush()
                os.kill(os.getpid(), signal.SIGKILL)
