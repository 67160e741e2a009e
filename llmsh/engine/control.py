"""The control channel: templates, tokenising and grammars, on a thread of their own, so that a
newcomer is tokenised while a step runs.

It knows no cache and no sequence.
"""

import os
import sys
import threading

from llmsh.abi import lease
from llmsh.engine.channel import Blocking, Closed
from llmsh.engine.grammar import Grammar
from llmsh.engine.model import Model
from llmsh.engine.schema import SchemaError, to_grammar
from llmsh.engine.template import Renderer, TemplateFault


class Control:
    """Answers requests, one after the other."""

    def __init__(self, model: Model, fd: int) -> None:
        self._model = model
        self._channel = Blocking(fd)
        self._renderer: Renderer | None = None

    def start(self) -> None:
        """Begin on a thread that does not keep the process alive."""
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def _serve(self) -> None:
        try:
            self._renderer = Renderer(self._model)
            while True:
                for request in self._channel.receive():
                    self._channel.send(self.answer(request))
        except Closed:
            return
        except Exception as exc:  # noqa: BLE001  a thread that is gone would leave the kernel waiting for ever
            cause = (str(exc) or type(exc).__name__).splitlines()[0]
            sys.stderr.write(f"engine: control channel: {cause}\n")
            sys.stderr.flush()
            os._exit(1)

    def answer(self, request: lease.Request) -> lease.Reply:
        """One request."""
        try:
            match request:
                case lease.Tokenize():
                    return lease.Reply(request.id, [self._model.tokenize(text) for text in request.texts])
                case lease.Schema():
                    return lease.Reply(request.id, text=self._grammar(request.text))
                case lease.Render():
                    if self._renderer is None:
                        self._renderer = Renderer(self._model)
                    return lease.Reply(request.id, [self._renderer.render(request.pieces, raw=request.raw)])
        except (TemplateFault, SchemaError) as exc:
            return lease.Reply(request.id, error=str(exc))

    def _grammar(self, schema: str) -> str:
        """A grammar that llama.cpp takes."""
        text = to_grammar(schema)
        try:
            Grammar(self._model, text).close()
        except ValueError as exc:
            raise SchemaError("", str(exc)) from exc
        return text
