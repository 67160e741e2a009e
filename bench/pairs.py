"""Pairs of measurements: our side and the other in turn, each going first as often as the other."""

from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def alternate(count: int, ours: Callable[[int], A], theirs: Callable[[int], B]) -> list[tuple[A, B]]:
    """`count` pairs; both are given the pair's number, from 0."""
    pairs = []
    for number in range(count):
        if number % 2:
            other = theirs(number)
            pairs.append((ours(number), other))
        else:
            mine = ours(number)
            pairs.append((mine, theirs(number)))
    return pairs
