"""The folder of models: NAME.gguf, and NAME.toml that says where it came from.

Files come into it under a temporary name, are synced, then renamed, so that a name stands for a whole model or
for none. It knows nothing of downloads; what a GGUF may be is abi/gguf.py's.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple

from llmsh.abi import gguf, paths
from llmsh.abi.errors import Error

_CHUNK = 1 << 20
_NAME_MAX = 64
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class Model(NamedTuple):
    """One model of the store. `fault` says in a line why its file is no model, and is empty for a good one."""

    name: str
    path: str
    header: gguf.Header | None
    source: str
    licence: str
    sha256: str
    fault: str


def check_name(name: str) -> str:
    """The name, if it may be one. Raises Error EINVAL."""
    good = 0 < len(name) <= _NAME_MAX and set(name) <= _LETTERS and name[0] not in ".-"
    if not good or name == "fake":
        raise Error("EINVAL", f"{name}: a model's name has 1 to {_NAME_MAX} of A-Z a-z 0-9 . _ - and is not fake")
    return name


def name_of(path: str) -> str:
    """The name a file gets when none is given: its own, in lower case."""
    stem = os.path.basename(path).removesuffix(".gguf").lower()
    return check_name("".join(letter if letter in _LETTERS else "-" for letter in stem).lstrip(".-")[:_NAME_MAX])


def _named(exc: OSError, path: str) -> Error:
    """An error of the machine as one of ours, with the path in it."""
    name = errno.errorcode.get(exc.errno or 0, "EIO")
    return Error(name if name in ("ENOSPC", "EACCES", "ENOENT", "EFBIG") else "EIO", f"{path}: {exc.strerror or exc}")


@contextmanager
def locked() -> Iterator[str]:
    """The store's folder, made if need be, for one writer at a time. Raises Error EBUSY if there is another."""
    folder = paths.models()
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        fd = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise _named(exc, folder) from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    except BlockingIOError as exc:
        raise Error("EBUSY", f"{folder}: another llmsh is adding or removing a model") from exc
    finally:
        os.close(fd)


def need_room(folder: str, size: int) -> None:
    """Raises Error ENOSPC unless the folder's disk has room for so many bytes."""
    info = os.statvfs(folder)
    free = info.f_bavail * info.f_frsize
    if free < size:
        raise Error("ENOSPC", f"{folder}: no space: {size >> 20} MiB needed, {free >> 20} MiB free")


def _write(path: str, data: bytes) -> None:
    """A small file: temporary name, sync, rename."""
    part = path + ".part"
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _quoted(text: str) -> str:
    """A TOML basic string. Source: TOML 1.0, String."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def _record(path: str, **fields: str) -> None:
    text = "".join(f"{key} = {_quoted(value)}\n" for key, value in fields.items())
    _write(path, text.encode("utf-8", "replace"))


def _fill(file: IO[bytes], target: str, size: int, progress: Progress) -> str:
    """Copies at most `size` bytes to the file `target`, synced; gives their SHA-256."""
    from hashlib import sha256

    digest, done = sha256(), 0
    with open(target, "wb") as out:
        while data := file.read(_CHUNK):
            done += len(data)
            if done > size:
                raise Error("EFBIG", f"{target}: more than the {size} bytes expected")
            digest.update(data)
            out.write(data)
            progress(done, size)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def put(folder: str, name: str, file: IO[bytes], size: int, progress: Progress, **fields: str) -> Model:
    """Takes the file into the store as `name`; `fields` go into its record, and a `sha256` among them must be true.

    The caller holds the lock. What fails leaves nothing behind.
    """
    part, target, note = (os.path.join(folder, name + end) for end in (".part", ".gguf", ".toml"))
    try:
        need_room(folder, size)
        found = _fill(file, part, size, progress)
        if fields.get("sha256", found) != found:
            raise Error("ENOEXEC", f"{name}: SHA-256 is {found}, expected {fields['sha256']}: nothing was kept")
        gguf.inspect(part)
        _record(note, **{**fields, "sha256": found})
        os.rename(part, target)
        _sync(folder)
    except OSError as exc:
        raise _named(exc, part) from exc
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)
    return look(name)


def adopt(folder: str, name: str, path: str, **fields: str) -> Model:
    """Takes a file into the store as `name` without copying it: it lies on the same disk, and is gone from `path`
    afterwards. The caller holds the lock. What fails leaves the name as it was."""
    from hashlib import file_digest

    target, note = (os.path.join(folder, name + end) for end in (".gguf", ".toml"))
    try:
        gguf.inspect(path)
        with open(path, "rb") as file:
            found = file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        _record(note, **{**fields, "sha256": found})
        os.rename(path, target)
        _sync(folder)
    except OSError as exc:
        raise _named(exc, path) from exc
    return look(name)


def add(path: str, name: str, progress: Progress, *, force: bool = False) -> Model:
    """Copies a GGUF file into the store. Raises Error ENOEXEC for a file that is no model, EEXIST for a name taken."""
    name = check_name(name) if name else name_of(path)
    try:
        # O_NONBLOCK: a FIFO of that name must not hang us.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise _named(exc, path) from exc
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Error("ENOEXEC", f"{path}: not a regular file")
    with open(fd, "rb") as file, locked() as folder:
        try:
            header = gguf.check(fd)
        except Error as exc:
            raise Error(exc.code, f"{path}: {exc.detail}") from exc
        if not force and os.path.exists(paths.model_file(name)):
            raise Error("EEXIST", f"{name}: there is such a model already (--force replaces it)")
        source = os.path.abspath(path)
        return put(folder, name, file, header.size, progress, source=source, licence=header.licence)


def names() -> list[str]:
    """Every model's name, sorted."""
    try:
        entries = os.listdir(paths.models())
    except FileNotFoundError:
        return []
    return sorted(entry[:-5] for entry in entries if entry.endswith(".gguf") and entry[0] != ".")


def _noted(path: str) -> dict[str, str]:
    """The record beside a model; empty where it is missing or no record."""
    import tomllib

    try:
        with open(path, "rb") as file:
            return {key: value for key, value in tomllib.load(file).items() if isinstance(value, str)}
    except (OSError, ValueError):
        return {}


def look(name: str) -> Model:
    """A model by name, or a file by path (with a slash). Raises Error ENODEV when there is none."""
    path = paths.model_file(name)
    if not os.path.exists(path):
        raise Error("ENODEV", f"{name}: no such {'file' if '/' in name else 'model'}")
    noted = _noted(path.removesuffix(".gguf") + ".toml")
    try:
        header, fault = gguf.inspect(path), ""
    except Error as exc:
        header, fault = None, exc.detail
    licence = noted.get("licence") or (header.licence if header else "")
    return Model(name, path, header, noted.get("source", ""), licence, noted.get("sha256", ""), fault)


def remove(name: str) -> None:
    """Forgets a model. An engine that has it open keeps it until it ends. Raises Error ENODEV."""
    with locked() as folder:
        path = os.path.join(folder, check_name(name) + ".gguf")
        try:
            os.unlink(path)
        except FileNotFoundError as exc:
            raise Error("ENODEV", f"{name}: no such model") from exc
        except OSError as exc:
            raise _named(exc, path) from exc
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name + ".toml"))
