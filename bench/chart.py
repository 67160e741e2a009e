"""The numbers as a picture: how far each row is from its target, one bar a row.

A bar's end is value / target, or target / value where less is better: right of the line is good. The scale
is logarithmic. It draws with Pillow, a dependency of development only; rows without a target have no bar.
"""

import re
from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

from bench.row import OK

WIDTH, LINE, TOP = 1500, 26, 60
NAMES, VALUES = 620, 360
MOST = 64.0
"""Bars end there."""
INK, GOOD, BAD, GRID = "#222222", "#3b8a4e", "#c0473a", "#d0d0d0"
_TARGET = re.compile(r"(?P<sign>[<>])=?\s*(?P<number>[\d.]+)")
_P99 = re.compile(r"p99[^\d]*([\d.]+)")
_NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")


class Bar(NamedTuple):
    """One row; `score` is 1 at the target, and more is better."""

    name: str
    value: str
    score: float
    good: bool


def measured(row: dict[str, Any]) -> float | None:
    """The number that was held against the target."""
    data = row["data"]
    for name in ("measured", "difference_ms", "ratio"):
        held = data.get(name)
        value = held.get("median") if isinstance(held, dict) else held
        if isinstance(value, int | float):
            return float(value)
    found = _P99.search(row["value"]) if "p99" in row["target"] else None
    text = found[1] if found else (_NUMBER.search(row["value"]) or [""])[0]
    return float(text.replace(",", "")) if text else None


def bar(row: dict[str, Any]) -> Bar | None:
    """The bar of a row; none without a target."""
    target, value = _TARGET.search(row["target"].replace("p99", "")), measured(row)
    if target is None or value is None:
        return None
    goal = float(target["number"])
    above, below = (value, goal) if target["sign"] == ">" else (goal, value)
    score = above / below if below > 0 else MOST
    return Bar(row["name"], row["value"], min(MOST, max(1 / MOST, score)), row["verdict"] == OK)


def bars(rows: Sequence[dict[str, Any]]) -> list[Bar]:
    """Of all rows that have one."""
    return [found for row in rows if row["verdict"] in ("ok", "short") and (found := bar(row)) is not None]


def draw(data: dict[str, Any], path: str) -> None:
    """Write the picture. Raises ImportError without Pillow."""
    from PIL import Image, ImageDraw, ImageFont

    found = bars(data["rows"])
    picture = Image.new("RGB", (WIDTH, TOP + LINE * (len(found) + 1)), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    left, right = NAMES, WIDTH - VALUES
    middle = (left + right) / 2

    def x(score: float) -> float:
        return middle + (right - left) / 2 * log(score) / log(MOST)

    pen.text((10, 12), f"llm-sh against its targets, {data['machine'].get('processor', '')}", INK, font)
    bottom = TOP + LINE * len(found)
    for power in range(-6, 7, 2):
        score = 2.0**power
        pen.line([(x(score), TOP - 8), (x(score), bottom)], INK if power == 0 else GRID)
        pen.text((x(score), TOP - 26), f"{score:g}", INK, font, anchor="ma")
    for number, each in enumerate(found):
        y = TOP + LINE * number
        pen.text((left - 10, y + LINE / 2), _cut(each.name, 84), INK, font, anchor="rm")
        ends = sorted((middle, x(each.score)))
        pen.rectangle([ends[0], y + 5, max(ends[1], ends[0] + 1), y + LINE - 5], GOOD if each.good else BAD)
        pen.text((right + 10, y + LINE / 2), _cut(each.value, 46), INK, font, anchor="lm")
    picture.save(path, "PNG")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
