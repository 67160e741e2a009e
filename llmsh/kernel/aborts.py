"""Aborts of steps that must not miss. An abort names a step by number, and the step that it names may
have ended when it arrives: then the one after it, begun before the engine heard why, is the one to end.

It knows steps and a device, and of streams how much is left of their prompts.
"""

from collections.abc import Callable, Collection

from llmsh.abi.lease import Step
from llmsh.kernel.core import Core
from llmsh.kernel.device import Device

LONG = 32
"""Tokens of a prompt not computed yet, from which a step of it may be a long one."""


class Aborts:
    """The last abort of each core, until its step is heard of."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._asked: dict[int, tuple[int, Callable[[], bool]]] = {}

    def ask(self, core: int, step: int, wanted: Callable[[], bool]) -> None:
        """Abort the step, and the next if this one ends by itself while that is still wanted."""
        self._asked[core] = (step, wanted)
        self._device.abort(core, step)

    def hurry(self, cores: Collection[Core]) -> None:
        """Somebody comes. A prompt that is alone is computed in steps that may be longer than STEP_MAX_MS. An
        aborted one is made again from what is wanted then; once a prompt, so that it has an end."""
        leased = [(core, stream) for core in cores for stream in core.leased.values()]
        if len(leased) == 1 and not any(core.scoring for core in cores):
            core, stream = leased[0]
            if len(stream) - stream.computed > LONG and not stream.hurried:
                stream.hurried = True
                self.ask(core.index, core.steps + 1, lambda: len(stream) - stream.computed > LONG)

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
