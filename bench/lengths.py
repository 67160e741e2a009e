"""Lengths of real requests, scaled to small models, and how the table of them is made.

`python -m bench.lengths CODE.csv CONV.csv > bench/lengths.csv` makes the table from the Azure LLM inference
traces of 2023: of each trace every n-th request in the order of its total length, so that the tail is as
heavy as the trace's, both lengths divided by SCALE. It knows no times: arrivals are made elsewhere.
"""

import csv
import os
import random
import sys
from typing import NamedTuple

SCALE = 16
"""They were made on data-centre models."""
OF_EACH = 150
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lengths.csv")
NOTICE = f"""\
# Lengths in tokens of {OF_EACH} requests each of a code and a conversation service, divided by {SCALE}.
# Made from the Azure LLM Inference Traces 2023 of the Azure Public Dataset (Microsoft), which were published
# with: Patel et al., Splitwise: Efficient Generative LLM Inference Using Phase Splitting (ISCA 2024).
# The traces are licensed under CC-BY 4.0, and so is this table. Changed: sampled and scaled by bench/lengths.py.
"""


class Length(NamedTuple):
    """One request."""

    trace: str
    prompt: int
    answer: int

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.prompt + self.answer


def sampled(requests: list[Length], count: int) -> list[Length]:
    """Every n-th by total length, from the middle of each n."""
    ordered = sorted(requests, key=lambda each: (each.total, each.answer))
    return [ordered[int((i + 0.5) * len(ordered) / count)] for i in range(count)]


def scaled(length: Length, by: int = SCALE) -> Length:
    """Divided, and at least a token each way."""
    return Length(length.trace, max(1, round(length.prompt / by)), max(1, round(length.answer / by)))


def table() -> list[Length]:
    """The table in the repository."""
    with open(FILE, encoding="ascii", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        return [Length(row["trace"], int(row["prompt"]), int(row["answer"])) for row in csv.DictReader(lines)]


def mix(count: int, seed: int) -> list[Length]:
    """So many requests in random order: drawn evenly over the whole table, so that few are as mixed as many."""
    draw = random.Random(seed)
    drawn = sampled(table(), count) if count <= 2 * OF_EACH else draw.choices(table(), k=count)
    draw.shuffle(drawn)
    return drawn


def _trace(name: str, path: str) -> list[Length]:
    with open(path, encoding="ascii", newline="") as file:
        return [Length(name, int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]


def main() -> int:
    """Print the table."""
    sys.stdout.write(NOTICE)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(Length._fields)
    for name, path in zip(("code", "conv"), sys.argv[1:], strict=True):
        writer.writerows(scaled(each) for each in sampled(_trace(name, path), OF_EACH))
    return 0


if __name__ == "__main__":
    sys.exit(main())
