"""Whether the books of a device's cores agree with each other. It mends nothing; a fault is a bug of ours."""

from collections.abc import Iterator, Mapping

from llmsh.kernel.core import Core


def faults(cores: Mapping[int, Core]) -> list[str]:
    """One line for each fault."""
    return [fault for index, core in cores.items() for fault in _faults(index, core)]


def _faults(index: int, core: Core) -> Iterator[str]:
    yield from core.cells.check()
    yield from core.sharing.check()
    for stream in core.leased.values():
        if stream.op:
            yield f"stream {stream.ident}: leased and in operation {stream.op}"
        if not stream.leased:
            yield f"stream {stream.ident}: in the leases without one"
        if stream.held < stream.own:
            yield f"stream {stream.ident}: {stream.own} cells computed, {stream.held} held"
    for stream in core.queue.streams.values():
        if stream.ident in core.queue.held and stream not in core.sharing.waiting.streams:
            yield f"stream {stream.ident}: left out of the order, and waits for nobody"
        if stream.core != index:
            yield f"stream {stream.ident}: queued on core {index}, of core {stream.core}"
