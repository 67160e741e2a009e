"""The engine's loop: drain the channel, make a step of each core that has work, send what came out.

It waits only when nothing is leased, or when the kernel has left a great deal unread.
"""

from llmsh.engine.cache import Cache
from llmsh.engine.channel import Channel
from llmsh.engine.orders import Orders
from llmsh.engine.step import Stepper


def run(channel: Channel, cache: Cache, orders: Orders, stepper: Stepper) -> None:
    """Serve until the kernel is gone (raises Closed) or does not speak the protocol (BROKEN)."""
    while True:
        for message in channel.receive(wait=not orders.working):
            orders.obey(message)
        for index in sorted(cache.cores):
            if index:
                # Between the cores' steps too: a message must not wait for both.
                for message in channel.receive(wait=False):
                    orders.obey(message)
            stepper.step(index)
            channel.flush()
