"""Arithmetic of labels: scores to probabilities, and a distribution as a line of output."""

import json
import math
from collections.abc import Sequence


def distribution(scores: Sequence[float], prior: Sequence[float]) -> list[float]:
    """Probabilities from sums of log-probabilities, after taking off what the model says of an
    input that deserves no label (contextual calibration: Zhao et al., ICML 2021)."""
    rest = [score - before for score, before in zip(scores, prior or [0.0] * len(scores), strict=True)]
    rest = [-1e9 if not math.isfinite(value) else value for value in rest]
    top = max(rest)
    weights = [math.exp(value - top) for value in rest]
    return [weight / sum(weights) for weight in weights]


def line(labels: Sequence[str], chances: Sequence[float], scores: bool, as_json: bool) -> str:
    """The best label; or all, best first, as LABEL TAB PROBABILITY pairs; or a JSON object."""
    ranked = sorted(zip(labels, chances, strict=True), key=lambda pair: -pair[1])
    if as_json:
        rounded = {label: round(p, 6) for label, p in ranked}
        return json.dumps({"label": ranked[0][0], "scores": rounded}, ensure_ascii=False)
    if scores:
        return "\t".join(f"{label}\t{p:.6f}" for label, p in ranked)
    return ranked[0][0]
