"""llama.cpp's C functions, as llama-cpp-python 0.3.36 declares them.

Only the package's low-level file is loaded: its __init__ also brings in the class `Llama`, chat
formats and what they need, which the engine has no use for (30 MB and half a second).
It knows no model and no sequence.
"""

import ctypes
import importlib
import importlib.util
import os
import sys
import types
from typing import Any


def _load() -> Any:
    low = "llama_cpp.llama_cpp"
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("llama_cpp is not installed")
        package = types.ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        sys.modules["llama_cpp"] = package
        # Who imports the package after us finds the C functions in it, as its __init__ would have it.
        package.__dict__["__getattr__"] = lambda name: getattr(importlib.import_module(low), name)
    return importlib.import_module(low)


C: Any = _load()
"""The C functions and structures. Untyped: ctypes knows them at run time only."""

_WARN, _ERROR = 3, 4


@C.llama_log_callback  # type: ignore[untyped-decorator]  # ctypes
def _log(level: int, text: bytes | None, _data: int) -> None:
    if level in {_WARN, _ERROR} and text and text.strip():
        sys.stderr.write("llama: " + text.decode("utf-8", "replace").strip() + "\n")
        sys.stderr.flush()


def start() -> None:
    """Begin: no log but warnings and errors. The callback is kept by this module for good: one that
    is collected crashes the process."""
    C.llama_log_set(_log, ctypes.c_void_p(0))
    C.llama_backend_init()
    _probe()


def _probe() -> None:
    """Let ggml look for AMX now: refused (see sandbox.py) it writes a line to stderr, once, that
    would stand in the kernel's messages at every start and says nothing to anybody."""
    library = C._lib  # noqa: SLF001  the package gives no other name to the library that it loaded
    library.ggml_backend_dev_by_type.restype = ctypes.c_void_p
    library.ggml_backend_dev_backend_reg.restype = ctypes.c_void_p
    library.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    cpu = ctypes.c_void_p(library.ggml_backend_dev_by_type(0))
    if not cpu.value:
        return
    registry = ctypes.c_void_p(library.ggml_backend_dev_backend_reg(cpu))
    found = library.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
    if found:
        kept, nothing = os.dup(2), os.memfd_create("nothing")
        os.dup2(nothing, 2)
        ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(found)(cpu)
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


_libc = ctypes.CDLL(None)
STRLEN: Any = C.ggml_abort_callback(ctypes.cast(_libc.strlen, ctypes.c_void_p).value)
"""libc's strlen as an abort callback: true where its data points at a byte that is set."""
