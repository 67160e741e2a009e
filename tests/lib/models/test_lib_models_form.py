"""Which form of a model is chosen, from losses and times made up here."""

import pytest

from llmsh.lib.models.form import Form, judge

LOSSES = [3.0, 1.0, 2.5, 0.5, 4.0, 2.0, 1.5, 3.5] * 50


def form(kind: str, *, worse: float = 0.0, jitter: float = 0.001, seconds: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Form:
    """A form that loses so much more at each token, give or take, and takes so long in each round."""
    made = Form(kind, kind, 1)
    made.losses = [loss + worse + (jitter if at % 2 else -jitter) for at, loss in enumerate(LOSSES)]
    made.times = [(each / 2, each / 2) for each in seconds]
    return made


def test_the_fastest_within_the_bound_is_chosen() -> None:
    original = form("F16")
    others = [form("A", seconds=(0.9,) * 3), form("B", seconds=(0.5,) * 3), form("C", worse=0.1, seconds=(0.1,) * 3)]
    assert judge(original, others, 0.5) is others[1]
    assert [each.verdict for each in (original, *others)] == ["as it is", "slower", "chosen", "over the bound"]


def test_a_bound_is_percent_of_perplexity() -> None:
    original, other = form("F16"), form("A", worse=0.00995, seconds=(0.5,) * 3)
    assert other.delta(original)[0] == pytest.approx(1.0, abs=0.01)
    assert judge(original, [other], 0.99) is original
    assert judge(original, [other], 1.01) is other


def test_what_is_hardly_faster_is_not_worth_a_file() -> None:
    original, other = form("F16"), form("A", seconds=(0.98,) * 3)
    assert judge(original, [other], 0.5) is original
    assert original.verdict.startswith("chosen")


def test_a_busy_machine_in_one_round_changes_nothing() -> None:
    original, other = form("F16", seconds=(1.0, 9.0, 1.1)), form("A", seconds=(0.5, 4.5, 0.55))
    assert other.gain(original) == pytest.approx(2.0)
    assert form("A", seconds=(0.5, 90.0, 0.5)).gain(form("F16")) == pytest.approx(2.0)


def test_what_could_not_be_made_is_never_chosen() -> None:
    original, other = form("F16"), Form("A")
    other.fault = "no room on the disk"
    assert judge(original, [other], 0.5) is original
    assert other.verdict == "no room on the disk"


def test_a_text_is_read_on_while_it_can_still_turn_out_well() -> None:
    original = form("F16")
    assert form("A", worse=0.1).settled(original, 0.5)
    assert form("A").settled(original, 0.5)
    assert not form("A", worse=0.1, jitter=1.0).settled(original, 0.5)
    short = form("A", worse=0.1)
    del short.losses[50:]
    assert not short.settled(original, 0.5)
    half = form("A", worse=0.1)
    del half.losses[len(LOSSES) // 2 :]
    assert half.perplexity(original) == pytest.approx(form("A", worse=0.1).perplexity(original), rel=1e-3)
