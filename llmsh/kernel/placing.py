"""Makes a process's context a conversation: render, compare with the log, cut, append.

With `shift`, the oldest turns go until it fits. Nothing is computed here: the next lease does that,
and only for what is new.
"""

from typing import TYPE_CHECKING

from llmsh.abi.lease import Cut, Piece, Render, Reply
from llmsh.abi.program import Context, Placed, Refused

if TYPE_CHECKING:
    from llmsh.kernel.interpreter import Interpreter

EXACT_CUT = 256
"""An exact stream is cut at multiples of this only, so that its chunks are the same in every run."""


class Placing:
    """One Context effect under way."""

    def __init__(self, interpreter: "Interpreter", effect: Context) -> None:
        self.interpreter = interpreter
        self.effect = effect
        self.pieces = list(effect.pieces)

    def render(self) -> None:
        """Ask the engine's control thread for the tokens."""
        host = self.interpreter.process.host
        assert host is not None
        host.request(Render(0, self.pieces, self.effect.raw), self._rendered)

    def _rendered(self, reply: Reply) -> None:
        process = self.interpreter.process
        if not process.alive:
            return
        if reply.error:
            self.interpreter.answer(Refused("EIO", reply.error))
            return
        tokens = reply.tokens[0]
        context = self.interpreter.kernel.context_of(process)
        # The program has reckoned with its own context: a limit of cells may be less.
        kept = max(1, min(self.effect.reserve, context // 2))
        if len(tokens) + kept > context:
            if self.effect.shift and self._drop_oldest():
                self.render()
                return
            self.interpreter.answer(self._too_long(len(tokens), context, kept))
            return
        if not tokens:
            self.interpreter.answer(Refused("EINVAL", "the prompt is empty"))
            return
        self._place(tokens)
        late = self._late()
        if late:
            self.interpreter.answer(Refused("EBUSY", late))
            return
        dropped = len(self.effect.pieces) - len(self.pieces)
        self.interpreter.answer(Placed(len(tokens), context - len(tokens), dropped))

    def _too_long(self, length: int, context: int, kept: int) -> Refused:
        """A limit of cells is in the way, or the context, the model's or the process's own."""
        size = f"input of {length} tokens" + (f" and {kept} for an answer" if length <= context else "")
        if cause := self.interpreter.kernel.quotas.cause(self.interpreter.process):
            return Refused("ENOMEM", f"{size}, {cause}")
        return Refused("E2BIG", f"{size}, context of {context}")

    def _late(self) -> str:
        """Why its goal is given up, now that it is known how much there is to read."""
        process, stream, kernel = self.interpreter.process, self.interpreter.stream, self.interpreter.kernel
        assert process.host is not None
        tokens = process.host.core(stream).sharing.ahead(stream)
        cause = kernel.goals.placed(process, tokens, kernel.clock.now())
        return f"its deadline cannot be met: {cause}" if cause else ""

    def _drop_oldest(self) -> bool:
        """Drop the oldest turn after the system message; never the last one."""
        first = 1 if self.pieces and self.pieces[0].role == "system" else 0
        if len(self.pieces) - first <= 1:
            return False
        del self.pieces[first]
        # An answer whose question is gone says nothing.
        while len(self.pieces) - first > 1 and _answers(self.pieces[first]):
            del self.pieces[first]
        return True

    def _place(self, tokens: list[int]) -> None:
        stream, host = self.interpreter.stream, self.interpreter.process.host
        assert host is not None
        keep = stream.common(tokens)
        if keep == len(tokens):
            # The last token is the next input: it is always fed anew.
            keep -= 1
        if stream.exact:
            keep -= keep % EXACT_CUT
        if keep < len(stream):
            if (stream.q or stream.image) and (not host.facts.share or keep <= stream.shared + 1):
                # Behind what is left nothing is its own: it begins anew, with what others have.
                host.core(stream).drop(stream)
            # The engine may know less of the log than there is.
            known = stream.sent
            stream.cut(keep)
            if stream.q and keep < known:
                op = host.operation(stream, _cut_done)
                host.post(Cut(stream.q, keep, op))
                cells = host.core(stream).cells
                if stream in cells:
                    cells.hold(stream, stream.computed)
        stream.append(tokens[keep:])
        if stream.q:
            host.core(stream).sharing.index(stream)
        self.interpreter.kernel.log_tokens(self.interpreter.process, len(tokens) - keep)


def _answers(piece: Piece) -> bool:
    return piece.role == "assistant"


def _cut_done(stream: object, op: int, error: str, scores: list[float]) -> None:
    """Nothing waits for a cut: what follows on the channel comes after it."""
