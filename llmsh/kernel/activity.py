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

COUNTERS = ("swapped_in", "swapped_out", "tokens_in", "tokens_out", "steps", "changes", "moves")
LEVELS = ("cores", "threads", "seats")


def _counters(host: "Host") -> tuple[int, ...]:
    tuning = host.tuning
    swapped = (tuning.meter.swapped_in, tuning.meter.swapped_out)
    return (*swapped, host.tokens_in, host.tokens_out, host.steps, tuning.changes, host.moves)


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


def _levels(hosts: Collection["Host"]) -> dict[str, int]:
    """Of the device that makes steps, or that did last: no two do at a time (dealing.py), so a sum over devices would
    be of cores and threads that the machine never has at once."""
    host = max((each for each in hosts if each.ready), key=lambda each: (each.works, each.last_used), default=None)
    if host is None:
        return dict.fromkeys(LEVELS, 0)
    chosen = host.tuning.configuration
    if chosen is None:  # what the engine does when it was told nothing, and one core works
        return dict(zip(LEVELS, (host.facts.cores, host.facts.threads, host.tuning.seats), strict=True))
    return {name: getattr(chosen, name) for name in LEVELS}


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
        "swap": sum(host.saved for host in hosts),
        "used": used,
        "free": total - used,
        "highest": sum(core["highest"] for core in cores),
        "tax_ms": max((core["tax_ms"] for core in cores), default=0.0),
        **_levels(hosts),
        **kernel.past.totals(hosts),
    }
