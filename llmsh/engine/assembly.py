"""Puts an engine together: model, core, books, control thread, loop."""

import argparse
import os
import sys

from llmsh.abi import lease
from llmsh.abi.limits import SEQUENCES_MAX
from llmsh.engine import binding, loop
from llmsh.engine.cache import Cache
from llmsh.engine.channel import Channel
from llmsh.engine.control import Control
from llmsh.engine.core import SCRATCH, AbortPage, Core
from llmsh.engine.fault import VARIABLE, Fault
from llmsh.engine.model import Model
from llmsh.engine.orders import Orders
from llmsh.engine.step import Stepper

_SWITCH = 0.0005
"""Seconds until the control thread yields the interpreter to the loop; Python's own 5 ms is a step."""


def serve(options: argparse.Namespace, channel: Channel) -> None:
    """Load, say READY, and serve until the kernel is gone. Raises Error, Closed or BROKEN."""
    sys.setswitchinterval(_SWITCH)
    binding.start()
    model = Model(options.model)
    page = AbortPage(options.abort_fd)
    threads = (options.threads, options.threads_batch)
    slots = max(1, min(options.sequences, SEQUENCES_MAX - SCRATCH))
    first = Core(model, 0, options.cells, slots, threads=threads, page=page)
    context = min(first.cells, model.trained) if model.trained > 0 else first.cells
    Control(model, options.control_fd).start()
    channel.send(
        lease.Ready(
            pid=os.getpid(),
            model=options.model,
            cells=first.cells,
            sequences=slots,
            context=context,
            cell_bytes=model.cell_bytes(),
            threads=options.threads,
            threads_batch=options.threads_batch,
            vocab=model.size,
            token_bytes=model.longest,
            share=model.share,
            template=bool(model.template()),
            description=model.description(),
        )
    )
    channel.flush()
    cache = Cache(first, lambda: Core(model, 1, first.cells, 1, threads=threads, page=page), context, model.share)
    orders = Orders(model, cache, channel)
    loop.run(channel, cache, orders, Stepper(model, cache, orders, channel, Fault(os.environ.get(VARIABLE, ""))))
