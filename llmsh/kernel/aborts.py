"""Aborts of steps that must not miss. An abort names a step by number, and the step that it names may
have ended when it arrives: then the one after it, begun before the engine heard why, is the one to end.

It knows steps and a device, no stream.
"""

from collections.abc import Callable

from llmsh.abi.lease import Step
from llmsh.kernel.device import Device


class Aborts:
    """The last abort of each core, until its step is heard of."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._asked: dict[int, tuple[int, Callable[[], bool]]] = {}

    def ask(self, core: int, step: int, wanted: Callable[[], bool]) -> None:
        """Abort the step, and the next if this one ends by itself while that is still wanted."""
        self._asked[core] = (step, wanted)
        self._device.abort(core, step)

    def ended(self, step: Step) -> None:
        """A step has ended, and is accounted."""
        asked = self._asked.get(step.core)
        if asked is None or step.no < asked[0]:
            return
        del self._asked[step.core]
        wanted = asked[1]
        if (step.rows or step.fed) and wanted():
            self.ask(step.core, step.no + 1, wanted)

    def void(self) -> None:
        """The engine is gone."""
        self._asked.clear()
