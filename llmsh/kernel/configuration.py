"""Which configuration makes the most of a machine: cores at once, threads each, sequences a step.

A pure function of a table of rates and of how many streams can run. It knows no core and no stream.
"""

from typing import NamedTuple

from llmsh.kernel.rates import BATCHES, USUAL_CHUNK, Rates

ALIKE = 0.03
"""Of several that differ by less, the one that serves most streams at once."""
GAIN = 0.08
"""What a change must win: every one costs a little, and rates are known to a few percent."""


class Limits(NamedTuple):
    """What there is, and what the user has fixed (0: nothing)."""

    cpus: int
    cores: int
    """Cores of the engine."""
    seats: int
    """Sequences in a step at most."""
    fixed_cores: int = 0
    fixed_threads: int = 0
    fixed_seats: int = 0


class Front(NamedTuple):
    """How many are in the foreground, and how many milliseconds may be between two tokens of theirs (0: any)."""

    people: int = 0
    ms: float = 0.0


PLANNED = 0.9
"""The part of that time that is planned for: the machine is not always as fast as it just was."""
NOBODY = Front()


class Configuration(NamedTuple):
    """`cores` work at once, with so many threads each for tokens and for input; `seats` sequences in a
    step of each, who are more take turns."""

    cores: int
    threads: int
    threads_batch: int
    seats: int


def splits(limits: Limits) -> list[tuple[int, int]]:
    """The ways to split the machine that are worth measuring: cores at once, threads of each."""
    found: set[tuple[int, int]] = set()
    cores = {limits.cores, *(1 << bit for bit in range(limits.cores.bit_length()) if 1 << bit <= limits.cores)}
    cores |= {count for count in range(1, limits.cores + 1) if limits.cpus % count == 0}
    for count in cores:
        share = max(1, limits.cpus // count)
        if count > 1 and count > limits.cpus:
            continue
        if limits.fixed_threads:
            found.add((count, min(limits.fixed_threads, share) if count > 1 else limits.fixed_threads))
        elif count > 1:
            found |= {(count, 1), (count, share)}
        else:
            powers = {1 << bit for bit in range(share.bit_length()) if 1 << bit <= share}
            found |= {(1, each) for each in {*powers, max(1, share - 1), share}}
    return sorted(found)


def rate(rates: Rates, cores: int, threads: int, seats: int, runnable: int, now: float) -> float:
    """Tokens a second, of all cores, when so many streams can run; 0 when it is not known."""
    cores = min(cores, runnable)
    batch = min(seats, -(-runnable // cores)) if cores else 0
    ms = rates.generate_ms(cores, threads, batch, now) if batch else 0.0
    return min(cores * batch, runnable) * 1000 / ms if ms else 0.0


def _input_threads(rates: Rates, cores: int, allowed: list[int], now: float) -> int:
    """The threads that compute input fastest."""
    known = [(ms, each) for each in allowed if (ms := rates.input_ms(cores, each, USUAL_CHUNK, now))]
    return min(known)[1] if known else max(allowed)


def _candidates(limits: Limits, runnable: int, least: int) -> list[tuple[int, int, int]]:
    """Cores, threads, seats. A core is left out only when the user has not fixed how many there are."""
    out: list[tuple[int, int, int]] = []
    for cores, threads in splits(limits):
        wanted = min(limits.fixed_cores, runnable) if limits.fixed_cores else 0
        if cores > runnable or (wanted and cores != wanted) or cores < min(least, limits.cores, runnable):
            continue
        share = -(-runnable // cores)
        if limits.fixed_seats:
            out.append((cores, threads, limits.fixed_seats))
        else:
            out += [(cores, threads, each) for each in {*BATCHES, share} if each <= min(share, limits.seats)]
    return out


def gap(rates: Rates, cores: int, threads: int, front: Front, now: float) -> float:
    """Milliseconds between two tokens of the foreground, as short as they can be: nobody else in their steps."""
    return rates.generate_ms(cores, threads, -(-front.people // cores), now)


def best(
    rates: Rates, limits: Limits, runnable: int, now: float, least: int = 1, front: Front = NOBODY
) -> tuple[Configuration, float] | None:
    """The configuration for so many runnable streams, and its tokens a second; None when nothing is
    known. `least`: cores whose cells they need. Where somebody is in the foreground it is the best of those that keep
    their time, or come nearest to it."""
    found = [
        (speed, min(cores * seats, runnable), cores, threads, seats)
        for cores, threads, seats in _candidates(limits, runnable, least)
        if (speed := rate(rates, cores, threads, seats, runnable, now))
    ]
    if not found:
        return None
    if front.people and front.ms:
        gaps = {each: gap(rates, each[2], each[3], front, now) for each in found}
        bound = max(PLANNED * front.ms, min(gaps.values()))
        found = [each for each in found if gaps[each] <= bound]
    fastest = max(found)[0]
    speed, _, cores, threads, seats = max(
        (each for each in found if each[0] >= fastest * (1 - ALIKE)), key=lambda each: (each[1], each[0])
    )
    allowed = [each for count, each in splits(limits) if count == cores]
    return Configuration(cores, threads, _input_threads(rates, cores, allowed, now), seats), speed


def better(
    rates: Rates,
    limits: Limits,
    now_in: Configuration | None,
    runnable: int,
    now: float,
    least: int = 1,
    front: Front = NOBODY,
) -> Configuration | None:
    """What to change to, None to stay."""
    found = best(rates, limits, runnable, now, least, front)
    if found is None or found[0] == now_in:
        return None
    if now_in is None or now_in.cores < min(least, runnable, limits.cores):
        return found[0]
    mine = rate(rates, now_in.cores, now_in.threads, now_in.seats, runnable, now)
    if found[0][:3] == now_in[:3]:
        # Seats alone cost nothing.
        return found[0] if found[1] >= mine else None
    if now_in.cores > runnable:
        # Fewer cores work than it was made for, and the engine has other threads for so few.
        mine = 0.0
    if front.people and front.ms:
        here, there = (gap(rates, each.cores, each.threads, front, now) for each in (now_in, found[0]))
        if here > max(front.ms, there * (1 + GAIN)):
            return found[0]
    return found[0] if found[1] > mine * (1 + GAIN) else None
