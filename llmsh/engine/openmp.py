"""Threads that OpenMP keeps for who has led a team, so that the next is there sooner.

GNU's runtime counts all that it keeps. When there are more than CPUs, every wait of every team gives up its CPU at
once instead of looking a little longer, and a step of two threads takes three times as long. Source: libgomp's
gomp_managed_threads and gomp_throttled_spin_count_var.
"""

from collections.abc import Callable
from typing import Any

from llmsh.engine.binding import C

_SOFT = 1
"""omp_pause_soft: what the program has set stays."""


def _find() -> Callable[[int], Any]:
    try:
        # Looked for in what llama.cpp is linked with, which may have a runtime of its own.
        return C._lib.omp_pause_resource_all  # type: ignore[no-any-return]  # noqa: SLF001  see binding.py
    except AttributeError:
        # Built without OpenMP: ggml keeps no threads between steps.
        return lambda _: 0


_pause = _find()


def dismiss() -> None:
    """End those that are kept for the calling thread; it is not in a step. Source: OpenMP 5.0, 3.2.44."""
    _pause(_SOFT)
