"""Nice values and their weights: each step is a factor of 1.25. Source: sched(7), Linux
`sched_prio_to_weight`; the table there is rounded, this one is computed, so nice 0 against nice 10
is 1.25 ** 10 = 9.3."""

LOWEST, HIGHEST = -20, 19


def weight(nice: int) -> float:
    """The share of a process of this nice value, relative to 1.0 at nice 0."""
    return float(1.25**-nice)


def clamp(nice: int) -> int:
    """The nearest legal nice value, as setpriority(2) does."""
    return max(LOWEST, min(HIGHEST, nice))
