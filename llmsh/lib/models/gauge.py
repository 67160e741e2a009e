"""The program that measures forms of a model, seen from the command: started, asked, ended.

It is the engine's (llmsh/engine/tune.py says what it answers) and an OS process of its own: what a model does to
llama.cpp ends that process, and the next question starts another. What it says is checked here.
"""

import ctypes
import os
import signal
import subprocess
import sys
from math import isfinite
from typing import Any

from llmsh.abi import jsontext
from llmsh.abi.errors import Error

_PR_SET_PDEATHSIG = 1
_LINE_MAX = 1 << 20
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def _child() -> None:
    """Runs in the child before the program: it ends with us, and Ctrl-C is ours to hear."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Gauge:
    """Measures the model of a file with a text; writes into `folder`, which holds its log too."""

    def __init__(self, model: str, folder: str, text: str) -> None:
        self._model = model
        self._folder = folder
        self._text = text
        self._log = os.path.join(folder, "log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> tuple[int, int, int]:
        """Windows in the text; tokens of prompt and answer of a request. Raises Error."""
        path = os.pathsep.join(filter(None, [_PACKAGES, os.environ.get("PYTHONPATH", "")]))
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "llmsh.engine.tune", "--model", self._model, "--folder", self._folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
                preexec_fn=_child,  # noqa: PLW1509  # this program has one thread
            )
        answer = self._exchange({"do": "text", "text": self._text})
        return (*(int(_number(answer, key)) for key in ("windows", "prompt", "answer")),)  # type: ignore[return-value]  # three keys

    def quantize(self, target: str, kind: int) -> int:
        """Write another form of the model; its bytes. Raises Error."""
        return int(_number(self._ask({"do": "quantize", "target": target, "type": kind}), "bytes"))

    def losses(self, model: str, window: int) -> list[float]:
        """What each scored token of one window of the text costs that form. Raises Error."""
        found = self._ask({"do": "perplexity", "model": model, "window": window}).get("losses")
        if not isinstance(found, list) or not found:
            raise Error("EPROTO", "the engine gave no losses")
        return [_number({"loss": loss}, "loss") for loss in found]

    def speed(self, model: str) -> tuple[float, float]:
        """Seconds that form takes for prompt and answer of one request. Raises Error."""
        answer = self._ask({"do": "speed", "model": model})
        return max(_number(answer, "prompt"), 1e-9), max(_number(answer, "answer"), 1e-9)

    def close(self) -> None:
        """End the program, whatever it is at."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not yet sent
                    continue
        process.wait()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self.start()
        return self._exchange(order)

    def _exchange(self, order: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(jsontext.dumps(order).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline(_LINE_MAX)
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            raise self._died(process)
        try:
            answer = jsontext.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            self.close()
            raise Error("EPROTO", "the engine gave no answer that can be read")
        if "error" in answer:
            raise Error(str(answer["error"]), " ".join(str(answer.get("detail", "")).split()))
        return answer

    def _died(self, process: "subprocess.Popen[bytes]") -> Error:
        """What the program died of, with its last word."""
        self.close()
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
        with open(self._log, encoding="utf-8", errors="replace") as file:
            words = [line.strip() for line in file if line.strip()]
        return Error("EIO", f"the engine ended by {how}{': ' + words[-1][:200] if words else ''}")


def _number(record: dict[str, Any], key: str) -> float:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise Error("EPROTO", f"the engine gave no number for {key}")
    return value
