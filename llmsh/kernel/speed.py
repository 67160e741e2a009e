"""How fast a sequence is that runs alone on a core of a device: by the table of rates for the configuration that
would be chosen, else by the steps that were seen. It knows no process.
"""

from llmsh.abi.lease import EXACT
from llmsh.kernel.configuration import best
from llmsh.kernel.host import Host


def alone(host: Host, now: float, *, queued: bool = True) -> tuple[float, int]:
    """Tokens a second, 0 while nothing is known, and how many cores would work at once. `queued`: who asks is
    among those that can run."""
    tuning, facts = host.tuning, host.facts
    runnable = sum(len(core.queue) for core in host.cores.values()) + (not queued)
    found = best(tuning.rates, tuning.limits, max(1, runnable), now, front=tuning.front) if tuning.rates.ms else None
    if found is not None:
        chosen = found[0]
        ms = tuning.rates.generate_ms(chosen.cores, chosen.threads, 1, now)
        return (1000 / ms if ms else 0.0), max(1, min(chosen.cores, facts.cores))
    steps = [core.pace.steps for index, core in host.cores.items() if index != EXACT]
    known = [each.rate for each in steps if each.rate]
    return (sum(known) / len(known) if known else 0.0), max(1, facts.cores)
