"""Puts an engine together: model, cores, books, control thread, loop."""

import argparse
import os
import sys

from llmsh.abi import lease
from llmsh.abi.limits import SEQUENCES_MAX
from llmsh.engine import binding, heap, openmp
from llmsh.engine.cache import Cache
from llmsh.engine.calibrate import Calibrator
from llmsh.engine.channel import Channel
from llmsh.engine.control import Control
from llmsh.engine.core import SCRATCH, AbortPage, Core
from llmsh.engine.fault import VARIABLE, Fault
from llmsh.engine.loop import Loop
from llmsh.engine.model import Model
from llmsh.engine.orders import Orders
from llmsh.engine.step import Stepper
from llmsh.engine.team import Team

_SWITCH = 0.0005
"""Seconds until the control thread yields the interpreter to the loop; Python's own 5 ms is a step."""


def serve(options: argparse.Namespace, channel: Channel) -> None:
    """Load, say READY, and serve until the kernel is gone. Raises Error, Closed or BROKEN."""
    sys.setswitchinterval(_SWITCH)
    heap.arrange()
    binding.start()
    model = Model(options.model)
    page = AbortPage(options.abort_fd)
    slots = max(1, min(options.sequences, SEQUENCES_MAX - SCRATCH))
    count = max(1, min(options.cores, lease.CORES_MAX))
    team = Team(count, options.threads, options.threads_batch, openmp.dismiss)

    def make(index: int) -> Core:
        exact = index == lease.EXACT
        count = 1 if exact else slots
        most = min(options.cells, model.trained) if exact and model.trained > 0 else options.cells
        return Core(model, index, most, count, threads=team.alone, page=page, kind=options.cache_type)

    cache = Cache(make, count, 0, True)
    cells = cache.cores[0].core.cells
    context = cache.context = min(cells, model.trained) if model.trained > 0 else cells
    cache.share = model.shares(context)
    Control(model, options.control_fd).start()
    channel.send(
        lease.Ready(
            pid=os.getpid(),
            model=options.model,
            cells=cells,
            sequences=slots,
            context=context,
            cell_bytes=model.cell_bytes(),
            threads=options.threads,
            threads_batch=options.threads_batch,
            vocab=model.size,
            token_bytes=model.longest,
            share=cache.share,
            template=bool(model.template()),
            description=model.description(),
            cores=count,
            cpus=team.cpus,
            lone=cache.cores[0].core.tiled,
        )
    )
    channel.flush()
    orders = Orders(model, cache, channel)
    stepper = Stepper(model, cache, orders, channel, Fault(os.environ.get(VARIABLE, "")))
    Loop(channel, orders, stepper, team, Calibrator(cache, channel, model.size), options.swap_fd).run()
