"""The runtime folder, where the socket lies: made 0700, then checked, else refused in one line.

It knows nothing of what lies in the folder.
"""

import os
import stat

from llmsh.abi import paths
from llmsh.abi.errors import Error


def check(folder: str) -> None:
    """Refuse a folder that another user could have put there or can write to.

    Raises FileNotFoundError when there is none, Error EACCES with the cause otherwise.
    """
    info = os.lstat(folder)
    if stat.S_ISLNK(info.st_mode):
        raise Error("EACCES", f"{folder}: is a link; the runtime folder must be a folder of yours")
    if not stat.S_ISDIR(info.st_mode):
        raise Error("EACCES", f"{folder}: is not a folder")
    if info.st_uid != os.getuid():
        raise Error("EACCES", f"{folder}: belongs to user {info.st_uid}, not to you")
    if info.st_mode & 0o077:
        raise Error("EACCES", f"{folder}: has mode {stat.S_IMODE(info.st_mode):04o}, must be 0700")


def _make(folder: str) -> None:
    parent = os.path.dirname(folder)
    try:
        os.makedirs(parent, 0o700, exist_ok=True)
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    except OSError as exc:
        raise Error("EACCES", f"{folder}: {exc.strerror}") from None


def ready(*, create: bool) -> bool:
    """Whether the runtime folder is there and fit; with `create` it is made.

    A socket given by LLMSH_SOCKET lies where its owner put it: that folder is not ours to judge.
    Raises Error EACCES.
    """
    if os.environ.get("LLMSH_SOCKET"):
        return True
    folder = paths.runtime()
    if create:
        _make(folder)
    try:
        check(folder)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise Error("EACCES", f"{folder}: {exc.strerror}") from None
    return True
