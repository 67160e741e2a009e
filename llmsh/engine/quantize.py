"""Another form of a model's file: the same weights in another format, written by llama.cpp.

It chooses nothing and measures nothing; what is there already is written over.
"""

import os

from llmsh.abi.errors import Error
from llmsh.engine.binding import C

_PROBE = bytes(1 << 20)


def quantize(source: int, target: str, kind: int) -> int:
    """Write the model open at descriptor `source` as file type `kind` (general.file_type); its bytes,
    synced. Raises Error ENOSPC, EFBIG, ENOTSUP; what was written of it is gone then."""
    params = C.llama_model_quantize_default_params()
    params.ftype = kind
    params.nthread = len(os.sched_getaffinity(0))
    params.allow_requantize = True
    if C.llama_model_quantize(f"/proc/self/fd/{source}".encode(), target.encode(), params):
        fault = _no_room(target) or Error("ENOTSUP", "llama.cpp cannot write this model in that format")
        if os.path.exists(target):
            os.unlink(target)
        raise fault
    return _sync(target)


def _no_room(target: str) -> Error | None:
    """Whether it failed because no more can be written: llama.cpp does not say why."""
    try:
        with open(target, "ab", buffering=0) as file:
            left = len(_PROBE)
            while left > 0:
                left -= file.write(_PROBE[:left])
    except OSError as exc:
        code = "EFBIG" if exc.errno == 27 else "ENOSPC" if exc.errno in (28, 122) else "EIO"
        return Error(code, f"{target}: {(exc.strerror or str(exc)).lower()}")
    return None


def _sync(target: str) -> int:
    with open(target, "rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size
