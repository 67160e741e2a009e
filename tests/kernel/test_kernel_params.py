"""Parameters of a run: the unit's, the caller's instead, and what is refused by its key."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi import lease
from llmsh.abi.errors import Error
from llmsh.abi.unit import RANGES, Limits, Unit
from llmsh.kernel.params import _FLAGS, _LIMITS, merge

UNIT = Unit(
    name="u",
    kind="prompt",
    description="d",
    sampling={"temperature": 0.5, "top_k": 7},
    limits=Limits(tokens=100, answer=10, seconds=60),
    schema="{}",
)


def test_the_units_values_stand_where_nobody_says_another() -> None:
    params = merge(UNIT, {"top_k": 9, "max_tokens": 5, "raw": True})
    assert (params.sampling.temperature, params.sampling.top_k) == (0.5, 9)
    assert (params.limits.tokens, params.limits.answer, params.limits.seconds) == (100, 5, 60)
    assert (params.schema, params.raw, params.shift, params.grace) == ("{}", True, False, None)


def test_lists_come_as_json_text() -> None:
    params = merge(UNIT, {"stop": '["a", "b"]', "logit_bias": '{"5": 1.5, "9": -3}'})
    assert params.sampling.stop == ("a", "b")
    assert params.sampling.logit_bias == {5: 1.5, 9: -3.0}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("colour", 1), ("temperature", -1), ("temperature", "hot"), ("temperature", True),
        ("temperature", float("nan")),
        ("top_p", 1.5), ("top_k", 1.5), ("top_k", 1 << 40), ("seed", -1), ("seed", 1 << 63), ("seed", 0.5),
        ("ignore_eos", 0.5), ("ignore_eos", "yes"), ("penalty_last", 1 << 20),
        ("stop", "a"), ("stop", "[1]"), ("stop", '[""]'), ("stop", '["' + "x" * 300 + '"]'), ("stop", "[" * 5000),
        ("stop", "[" + ",".join(['"a"'] * 33) + "]"),
        ("logit_bias", "[]"), ("logit_bias", '{"a":1}'), ("logit_bias", '{"-1":1}'), ("logit_bias", '{"1":1e999}'),
        ("logit_bias", '{"1":NaN}'), ("logit_bias", '{"99999999999999999999":1}'), ("logit_bias", "{" * 5000),
        ("tokens", -1), ("tokens", float("inf")), ("seconds", "1"), ("max_tokens", True), ("context", 1 << 60),
        ("raw", 1), ("deterministic", "yes"), ("tty", None), ("schema", 5), ("grace", -1), ("grace", 5000),
        ("grace", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_key_and_in_one_line(key: str, value: Any) -> None:
    with pytest.raises(Error) as caught:
        merge(UNIT, {key: value})
    assert caught.value.code == "EINVAL"
    assert key in caught.value.detail
    assert "\n" not in caught.value.detail
    assert len(caught.value.detail) < 200


scalars = st.one_of(st.text(), st.integers(), st.floats(), st.booleans())
names = st.sampled_from(sorted({*RANGES, *_LIMITS, *_FLAGS, "stop", "logit_bias", "schema", "grace"}))


@given(st.dictionaries(st.one_of(names, st.text()), scalars, max_size=6))
def test_whatever_is_given_is_refused_or_can_be_sent_to_an_engine(given: dict[str, Any]) -> None:
    with contextlib.suppress(Error):
        lease.pack(lease.Answer(1, 0, merge(UNIT, given).sampling))


CLASSIFY = Unit(name="sort", kind="classify", description="d", labels=("a", "b"))


@pytest.mark.parametrize(
    ("unit", "key", "value"),
    [(UNIT, "scores", True), (UNIT, "json", True), (CLASSIFY, "schema", "{}")],
)
def test_what_a_kind_would_ignore_is_refused(unit: Unit, key: str, value: Any) -> None:
    with pytest.raises(Error, match=f"^{key}: expected an agent that") as caught:
        merge(unit, {key: value})
    assert caught.value.status == 2
    assert unit.kind in caught.value.detail


def test_what_a_kind_knows_is_taken() -> None:
    assert merge(CLASSIFY, {"scores": True, "json": True}).scores
    assert merge(UNIT, {"scores": False, "schema": '{"type":"object"}'}).schema == '{"type":"object"}'
