"""Requests to an engine's control thread that outlive the engine: the next one is asked.

It knows what a lost request is, not what any asks for.
"""

from collections.abc import Callable

from llmsh.abi.lease import Reply, Request
from llmsh.kernel.device import Device

ASKS_MAX = 5
"""Engines that may die while a request is under way before the request is refused."""
LOST = "engine died"
"""What a device answers to requests of an engine that is gone."""
COMING, NEVER = 0, -1
"""What `engine` says in place of an incarnation's number when there is none now."""

Answered = Callable[[Reply], None]


class Requests:
    """`engine` gives the number of the incarnation that can be asked, or COMING or NEVER; `heard` is
    told of each answer, `wanted` when the next engine is needed."""

    def __init__(
        self, device: Device, engine: Callable[[], int], heard: Callable[[], None], wanted: Callable[[], None]
    ) -> None:
        self.asking = 0
        """Requests without an answer yet."""
        self._device = device
        self._engine = engine
        self._heard = heard
        self._wanted = wanted
        self._lost: list[tuple[Request, Answered, int]] = []

    def ask(self, message: Request, reply: Answered, deaths: int = 0) -> None:
        """Ask; `reply` is always called. A death of the engine is no answer."""
        asked = self._engine()
        if asked == COMING:
            self._later(message, reply, deaths)
            return
        self.asking += 1

        def answered(got: Reply) -> None:
            self.asking -= 1
            self._heard()
            now = self._engine()
            if got.error != LOST or deaths + 1 >= ASKS_MAX or now == NEVER:
                reply(got)
            elif now not in (COMING, asked):
                self.ask(message, reply, deaths + 1)
            else:
                self._later(message, reply, deaths + 1)

        self._device.request(message, answered)

    def _later(self, message: Request, reply: Answered, deaths: int) -> None:
        self._lost.append((message, reply, deaths))
        self._wanted()

    def again(self) -> None:
        """The next engine is there."""
        lost, self._lost = self._lost, []
        for message, reply, deaths in lost:
            self.ask(message, reply, deaths)

    def refuse(self, reason: str) -> None:
        """No engine will come."""
        lost, self._lost = self._lost, []
        for _, reply, _ in lost:
            reply(Reply(0, error=reason))
