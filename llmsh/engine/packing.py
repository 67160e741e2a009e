"""Moves cells of a core that lie highest into the holes below them, by way of images.

Every step goes over all cells up to the highest used one. What several slots hold is moved once, for all of
them, so that it stays shared. It knows slots and cells, no lease: between two steps nobody can tell.
"""

from llmsh.abi.layout import Run
from llmsh.abi.lease import EXACT
from llmsh.engine.cache import Cache, Residents


def pack(cache: Cache, index: int, most: int) -> int:
    """Move at most `most` cells of a core; how many were moved. Not where nothing can be cut, nor of EXACT,
    which promises the same text."""
    home = cache.cores.get(index)
    if home is None or index == EXACT or not cache.share:
        return 0
    moved = 0
    for run in home.layout.above(home.holders, most):
        _move(home, run)
        moved += run.end - run.start
    return moved


def _move(home: Residents, run: Run) -> None:
    core, scratch = home.core, home.scratch[-1]
    core.share(run.slots[0], scratch, run.start, run.end)
    image = core.save(scratch)
    core.remove(scratch, 0)
    for slot in run.slots:
        core.remove(slot, run.start, run.end)
    done = core.load(scratch, image)
    assert done, "no room where as much has just been given up"
    for slot in run.slots:
        core.share(scratch, slot, run.start, run.end)
    core.remove(scratch, 0)
    home.layout.move(run, home.holders)
