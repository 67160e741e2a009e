r"""Lines typed before: a file under state that only its owner can read.

Several shells append to one file; it is cut to its newest part when a shell begins. A line that
begins with a blank is not kept. Format: an entry a line, backslash and newline within as \\ and \n.
"""

import os

from llmsh.abi import paths

BYTES_MAX = 1 << 20
ENTRY_MAX = 1 << 16


def path() -> str:
    """The file."""
    return os.path.join(paths.state(), "history")


def load() -> list[str]:
    """Entries, oldest first. What cannot be read is an empty history."""
    try:
        fd = os.open(path(), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return []
    with os.fdopen(fd, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > 2 * BYTES_MAX:
            _cut(file.fileno(), size)
        file.seek(0)
        data = file.read(4 * BYTES_MAX)
    return [_decode(line) for line in data.decode("utf-8", "surrogateescape").split("\n") if line]


def _cut(fd: int, size: int) -> None:
    """Keep the newest part: written beside the file, then put in its place."""
    data = os.pread(fd, BYTES_MAX, size - BYTES_MAX)
    temporary = f"{path()}.{os.getpid()}"
    new = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(new, data[data.find(b"\n") + 1 :])
        os.fsync(new)
    finally:
        os.close(new)
    os.rename(temporary, path())


def append(entry: str) -> bool:
    """Keep a line; False when it was not kept."""
    if not entry.strip() or entry[0] in " \t" or len(entry) > ENTRY_MAX:
        return False
    line = entry.rstrip("\n").replace("\\", "\\\\").replace("\n", "\\n") + "\n"
    try:
        os.makedirs(paths.state(), mode=0o700, exist_ok=True)
        fd = os.open(path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return False
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, line.encode("utf-8", "surrogateescape"))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _decode(line: str) -> str:
    out, at = "", 0
    while at < len(line):
        if line[at] == "\\" and at + 1 < len(line):
            at += 1
            out += "\n" if line[at] == "n" else line[at]
        else:
            out += line[at]
        at += 1
    return out
