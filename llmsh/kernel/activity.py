"""What the whole machine does, as vmstat shows it: counters that only grow, and what is so now.

Fields: abi/records.py. A device that is given up leaves its counters here.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from llmsh.abi.lease import EXACT
from llmsh.abi.states import DISK, RUN
from llmsh.kernel.packing import idle

if TYPE_CHECKING:
    from llmsh.kernel.host import Host
    from llmsh.kernel.kernel import Kernel

COUNTERS = ("swapped_in", "swapped_out", "tokens_in", "tokens_out", "steps")


def _counters(host: "Host") -> tuple[int, ...]:
    meter = host.tuning.meter
    return (meter.swapped_in, meter.swapped_out, host.tokens_in, host.tokens_out, host.steps)


class Past:
    """The counters of devices that are no more."""

    def __init__(self) -> None:
        self._sums = (0,) * len(COUNTERS)

    def add(self, host: "Host") -> None:
        """A device is given up."""
        self._sums = tuple(map(sum, zip(self._sums, _counters(host), strict=True)))

    def totals(self, hosts: Collection["Host"]) -> dict[str, int]:
        """By name, over all devices that there were and are."""
        sums = map(sum, zip(self._sums, *map(_counters, hosts), strict=True))
        return dict(zip(COUNTERS, sums, strict=True))


def taxes(host: "Host") -> list[dict[str, Any]]:
    """See abi.records.CORES: of each core that processes are dealt out to, and of EXACT while it is in use."""
    return [
        {
            "core": index,
            "used": core.cells.used,
            "highest": core.cells.highest,
            "tax_ms": round(idle(core) * core.residence.tax.rent, 3),
        }
        for index, core in sorted(host.cores.items())
        if index != EXACT or core.cells.used
    ]


def record(kernel: "Kernel") -> dict[str, Any]:
    """The record of vmstat."""
    hosts = kernel.hosts.values()
    states = [process.state for process in kernel.table]
    used = sum(core.cells.used for host in hosts for core in host.cores.values())
    total = sum(host.capacity for host in hosts)
    cores = [core for host in hosts for core in taxes(host)]
    return {
        "up_ms": round((kernel.clock.now() - kernel.began) * 1000),
        "runnable": states.count(RUN),
        "blocked": states.count(DISK),
        "swap": sum(stream.image for host in hosts for stream in host.members),
        "used": used,
        "free": total - used,
        "highest": sum(core["highest"] for core in cores),
        "tax_ms": max((core["tax_ms"] for core in cores), default=0.0),
        **kernel.past.totals(hosts),
    }
