"""Operations that an engine has been asked for and has not ended. It knows what each is for only by whom it calls."""

from llmsh.abi.lease import Done
from llmsh.kernel.holder import Holder
from llmsh.kernel.port import Ended


class Operations:
    """Of one device. Numbers are not used twice, over all its engines."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Holder, Ended]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, holder: Holder, ended: Ended) -> int:
        """A new one's number."""
        self._last += 1
        self._open[self._last] = (holder, ended)
        return self._last

    def end(self, message: Done) -> Holder | None:
        """It has ended: whoever began it hears so. None for one that is not known."""
        holder, ended = self._open.pop(message.op, (None, None))
        if holder is not None and ended is not None:
            ended(holder, message.op, message.error, message.scores)
        return holder

    def of(self, op: int) -> Holder | None:
        """Whose it is."""
        return self._open.get(op, (None, None))[0]

    def concern(self, holder: Holder) -> bool:
        """Whether any is under way for it."""
        return any(each is holder for each, _ in self._open.values())

    def void(self) -> None:
        """The engine is gone."""
        self._open.clear()
