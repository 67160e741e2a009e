"""Measures forms of a model: `python -m llmsh.engine.tune`, started by `llmsh model tune`. It judges nothing.

A JSON object a line on standard input is an order, answered in order by one on standard output: either
what was asked for, or {"error": name, "detail": line}. It is sandboxed as an engine is, and may write
into one folder. Orders:

    {"do": "text", "text": T}                    -> {"windows": n, "prompt": n, "answer": n}
    {"do": "quantize", "target": F, "type": N}   -> {"bytes": n}
    {"do": "perplexity", "model": F, "window": N} -> {"losses": [x, …]}
    {"do": "speed", "model": F}                  -> {"prompt": seconds, "answer": seconds}
"""

import argparse
import json
import os
import sys
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in an engine

from llmsh.abi.errors import Error
from llmsh.engine import sandbox


class Tuner:
    """Obeys the orders. Every model of theirs has the vocabulary of the first, `path`."""

    def __init__(self, path: str) -> None:
        # Here, so that the sandbox is up before llama.cpp runs.
        from llmsh.engine import binding

        binding.start()
        self._path = path
        self._tokens: list[int] = []
        self._loaded: tuple[str, Any] = ("", None)

    def _model(self, path: str) -> Any:
        """The model of a file; one at a time is in memory."""
        from llmsh.engine.model import Model

        if self._loaded[0] != path:
            if self._loaded[1] is not None:
                self._loaded[1].close()
            self._loaded = ("", None)
            self._loaded = (path, Model(path))
        return self._loaded[1]

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order. Raises Error."""
        from llmsh.engine import perplexity, quantize, speed

        match order["do"]:
            case "text":
                model = self._model(self._path)
                self._tokens = model.tokenize(order["text"])
                prompt, answer = speed.shape(model)
                windows = len(self._tokens) // perplexity.window(model)
                return {"windows": windows, "prompt": prompt, "answer": answer}
            case "quantize":
                fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    return {"bytes": quantize.quantize(fd, order["target"], order["type"])}
                finally:
                    os.close(fd)
            case "perplexity":
                return {"losses": perplexity.losses(self._model(order["model"]), self._tokens, order["window"])}
            case "speed":
                read, written = speed.request(self._model(order["model"]), self._tokens)
                return {"prompt": read, "answer": written}
        raise Error("EINVAL", f"no such order: {order['do']}")


def _say(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def main() -> int:
    """The process: 0 at the end of its input."""
    parser = argparse.ArgumentParser(prog="llmsh.engine.tune", description="Measures forms of a model.")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--folder", required=True, metavar="FOLDER")
    options = parser.parse_args()
    # Not lower(): a person waits for it, and what disturbs it spoils the figures.
    missing = sandbox.enter(options.model, options.folder)
    if missing:
        sys.stderr.write(f"engine: this machine allows no {', no '.join(missing)}\n")
    tuner = Tuner(options.model)
    for line in sys.stdin:
        try:
            _say(tuner.obey(json.loads(line)))
        except Error as exc:
            _say({"error": exc.code, "detail": exc.detail})
        except OSError as exc:
            _say({"error": "EIO", "detail": f"{exc.filename}: {(exc.strerror or str(exc)).lower()}"})
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # not sys.exit: as in __main__.py
