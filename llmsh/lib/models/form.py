"""Forms of a model compared: what each loses and gains against the model as it is, and which is best.

Numbers in, verdicts out: it starts nothing and reads no file. Losses are compared token by token and speeds round by
round, so that what both forms had in common (a hard passage, a busy machine) cancels.
"""

from math import exp, sqrt
from statistics import fmean, median, variance

FASTER = 1.03
"""How much faster a form must be than the model as it is: less is not worth a second file."""
SURE = 4.0
"""Standard errors from the bound at which no more text is read."""
ENOUGH = 200
"""Tokens that must have been scored before that: the error of a few is itself an error."""


class Form:
    """One form. `path` is empty for one that could not be made, `fault` says why then."""

    def __init__(self, kind: str, path: str = "", size: int = 0) -> None:
        self.kind = kind
        """Q8_0 and the like."""
        self.path = path
        self.size = size
        self.fault = ""
        self.losses: list[float] = []
        self.times: list[tuple[float, float]] = []
        """Seconds for prompt and answer, a round each."""
        self.verdict = ""
        self.model = ""
        """The name under which it was kept."""

    def delta(self, original: "Form") -> tuple[float, float]:
        """Percent by which its perplexity is above the original's, and the standard error of that."""
        differences = [mine - its for mine, its in zip(self.losses, original.losses, strict=False)]
        ratio = exp(min(fmean(differences), 50.0))
        spread = sqrt(variance(differences) / len(differences)) if len(differences) > 1 else 0.0
        return 100 * (ratio - 1), 100 * ratio * spread

    def perplexity(self, original: "Form") -> float:
        """Its perplexity on the text; the original's, changed by what is known, where not all was read."""
        if len(self.losses) == len(original.losses):
            return exp(min(fmean(self.losses), 700.0))
        return exp(min(fmean(original.losses), 600.0)) * (1 + self.delta(original)[0] / 100)

    def settled(self, original: "Form", bound: float) -> bool:
        """Whether what was read of the text is enough: it is surely over the bound, or surely within it."""
        percent, error = self.delta(original)
        return abs(percent - bound) > SURE * error and len(self.losses) >= ENOUGH

    def gain(self, original: "Form") -> float:
        """How many times as fast it serves a request as the original: the median of the rounds."""
        pairs = zip(self.times, original.times, strict=False)
        return median(sum(its) / sum(mine) for mine, its in pairs)

    def seconds(self) -> tuple[float, float]:
        """Medians of the rounds: prompt, answer."""
        return median(prompt for prompt, _ in self.times), median(answer for _, answer in self.times)


def judge(original: Form, others: list[Form], bound: float) -> Form:
    """Give every form its verdict; the chosen one, which is the original when nothing is faster."""
    chosen, best = original, FASTER
    original.verdict = "as it is"
    for form in others:
        if form.fault:
            form.verdict = form.fault
        elif form.delta(original)[0] > bound:
            form.verdict = "over the bound"
        else:
            form.verdict = "slower"
            if form.gain(original) >= best:
                chosen, best = form, form.gain(original)
    chosen.verdict = "chosen" if chosen is not original else "chosen: nothing is faster"
    return chosen
