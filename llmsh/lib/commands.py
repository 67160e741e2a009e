"""Finds and runs the commands of builtins/: one file each, loaded by path.

Searched: where the wheel put them, the checkout, then the user's config folder (which adds and
replaces nothing). `invoke` is the one place that turns what a command raises into a line and a
status; the shell and `llmsh NAME` both come through it.
"""

import os
import stat
from _frozen_importlib_external import SourceFileLoader  # importlib.machinery loads warnings to get at it

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.light import ModuleType
from llmsh.lib import term
from llmsh.lib.options import Shown, Usage

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_loaded: dict[str, ModuleType] = {}


def shipped() -> str:
    """The folder of the commands that ship."""
    packed = os.path.join(_ROOT, "_data", "builtins")
    return packed if os.path.isdir(packed) else os.path.join(os.path.dirname(_ROOT), "builtins")


def folders() -> list[str]:
    """Folders searched for commands, first match wins."""
    return [shipped(), os.path.join(paths.config(), "builtins")]


def find(name: str) -> str | None:
    """The file of a command, or None. Raises Error EACCES for one that others may write."""
    if not name.replace("-", "_").isidentifier():
        return None
    for folder in folders():
        path = os.path.join(folder, f"{name}.py")
        try:
            info = os.stat(path)
        except OSError:
            continue
        if folder != shipped() and (info.st_mode & 0o022 or info.st_uid not in (0, os.getuid())):
            raise Error("EACCES", f"{path}: group or others may write it (mode {stat.S_IMODE(info.st_mode):04o})")
        return path
    return None


def names() -> list[str]:
    """Every command, sorted."""
    found: set[str] = set()
    for folder in folders():
        if os.path.isdir(folder):
            found |= {entry[:-3] for entry in os.listdir(folder) if entry.endswith(".py")}
    return sorted(name for name in found if name.isidentifier())


def load(name: str) -> ModuleType | None:
    """The module of a command: `COMMAND` and `main(argv) -> int`."""
    if name not in _loaded:
        path = find(name)
        if path is None:
            return None
        # No package, and names such as `pwd` are Python's own: the module's name says what it is.
        module = ModuleType(f"llmsh_builtin_{name}")
        module.__file__ = path
        SourceFileLoader(module.__name__, path).exec_module(module)
        _loaded[name] = module
    return _loaded[name]


BROKEN_PIPE = 141
"""Status when the reader went away and SIGPIPE is ignored (in a shell's own process)."""


def _unknown(name: str) -> int:
    agent = any(os.path.exists(os.path.join(folder, f"{name}.toml")) for folder in paths.units())
    term.complain("llmsh", f"{name}: no such command" + (f" (an agent: llmsh run {name})" if agent else ""))
    return 127


def invoke(name: str, argv: list[str]) -> int:
    """Run a command in this OS process; its exit status.

    Output goes to descriptors 1 and 2 unbuffered. What it raises becomes one line on standard error:
    Error its status, Usage 2, a write that fails 1; a bug of ours 70, with a trace only under
    LLMSH_DEBUG. KeyboardInterrupt is the caller's.
    """
    try:
        module = load(name)
        if module is None:
            return _unknown(name)
        return int(module.main(argv))
    except Shown as shown:
        return _show(name, str(shown))
    except Usage as exc:
        term.complain(name, f"{exc} (see `{exc.see or f'llmsh {name} --help'}`)")
        return 2
    except Error as exc:
        term.complain(name, exc.detail)
        return exc.status
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as exc:
        # What names no file is a write to a descriptor, but for getcwd(2): that alone can find nothing.
        gone = isinstance(exc, FileNotFoundError)
        where = exc.filename or ("the working folder is gone" if gone else "write error")
        term.complain(name, f"{where}: {exc.strerror or exc}")
        return 1
    except Exception as exc:  # the last door before a user, who must see no trace
        if os.environ.get("LLMSH_DEBUG"):
            raise
        term.complain(name, f"bug: {type(exc).__name__}: {exc} (LLMSH_DEBUG=1 shows where)")
        return 70


def _show(name: str, text: str) -> int:
    try:
        term.out(text)
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as exc:
        term.complain(name, f"write error: {exc.strerror}")
        return 1
    return 0
