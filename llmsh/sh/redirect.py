"""Redirections: descriptors opened, duplicated, closed, and put back afterwards.

It knows descriptors and the texts of targets (expanded by whom it is given), and no commands.
Source: POSIX.1-2024, Shell Command Language, 2.7.
"""

import fcntl
import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from llmsh.sh.errors import RedirectError
from llmsh.sh.tree import Here, Redirect, Word

PRIVATE = 64
"""The shell's own descriptors lie from here up, out of a script's way."""

Saved = list[tuple[int, int]]
"""(descriptor, its copy), the copy -1 for one that was closed."""

_MODES = {
    "<": os.O_RDONLY,
    ">": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    ">|": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    ">>": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "<>": os.O_RDWR | os.O_CREAT,
}


def private(fd: int) -> int:
    """Move a descriptor of the shell's own out of the way; closed on exec."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, PRIVATE)
    finally:
        os.close(fd)


def apply(redirects: Iterable[Redirect], expand: Callable[[Word], str], noclobber: bool, saved: Saved | None) -> None:
    """Do redirections in order; with `saved`, note there what they replace.

    Raises RedirectError at the first that fails; what was done before it is in `saved`.
    """
    for redirect in redirects:
        if redirect.fd >= PRIVATE:
            raise RedirectError(f"{redirect.fd}: bad descriptor: at most {PRIVATE - 1}")
        if saved is not None:
            saved.append((redirect.fd, _copy(redirect.fd)))
        if isinstance(redirect.target, Here):
            _move(_document(expand(redirect.target.body)), redirect.fd)
        elif redirect.operator in ("<&", ">&"):
            _duplicate(redirect.fd, expand(redirect.target))
        else:
            _move(_open(redirect.operator, expand(redirect.target), noclobber), redirect.fd)


def restore(saved: Saved) -> None:
    """Undo, last first."""
    while saved:
        fd, copy = saved.pop()
        if copy < 0:
            _close(fd)
        else:
            os.dup2(copy, fd, inheritable=True)
            os.close(copy)


def forget(saved: Saved) -> None:
    """Keep the redirections for good (exec), or in a child: close the copies."""
    while saved:
        _, copy = saved.pop()
        if copy >= 0:
            os.close(copy)


def _copy(fd: int) -> int:
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, PRIVATE)
    except OSError:
        return -1


def _close(fd: int) -> None:
    with suppress(OSError):  # it was not open: nothing to undo
        os.close(fd)


def _move(source: int, fd: int) -> None:
    if source == fd:
        os.set_inheritable(fd, True)
        return
    os.dup2(source, fd, inheritable=True)
    os.close(source)


def _open(operator: str, path: str, noclobber: bool) -> int:
    mode = _MODES[operator]
    try:
        if operator == ">" and noclobber and os.path.isfile(path):
            raise RedirectError(f"{path}: file exists, and noclobber is set")
        return os.open(path, mode, 0o666)
    except OSError as error:
        raise RedirectError(f"{path}: {cause(error)}") from error
    except ValueError as error:
        raise RedirectError("NUL in a file name") from error


def _duplicate(fd: int, text: str) -> None:
    if text == "-":
        _close(fd)
        return
    if not (text.isascii() and text.isdigit()) or int(text[-6:]) >= PRIVATE:
        raise RedirectError(f"{text}: bad descriptor")
    try:
        if int(text) != fd:
            os.dup2(int(text), fd, inheritable=True)
        else:
            os.fstat(fd)
    except OSError as error:
        raise RedirectError(f"{text}: bad descriptor") from error


def _document(text: str) -> int:
    """A here-document as a file in memory, at its beginning."""
    fd = os.memfd_create("here", os.MFD_CLOEXEC)
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def cause(error: OSError) -> str:
    """An operating system error in the form of the other messages: no capital, no number."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]
