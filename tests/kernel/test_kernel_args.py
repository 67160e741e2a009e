"""Arguments of calls against the table: what passes, and what is refused by its name."""

from typing import Any

import pytest

from llmsh.abi.errors import Error
from llmsh.abi.limits import ARGS_MAX
from llmsh.abi.syscalls import CALLS, TABLE, Arg, Call
from llmsh.kernel.args import checked

WRONG: dict[str, list[Any]] = {
    "int": [None, True, False, 1.0, "1", [], {}, float("nan"), 10**400, -(10**400)],
    "num": [None, True, "1", float("nan"), float("inf"), float("-inf"), [], {}],
    "bool": [None, 0, 1, "true", [], {}],
    "str": [None, 0, b"x", [], {}, "\ud800", "a\udfffb"],
    "strs": [None, "abc", [1], ["a", None], ["\ud800"], {"a": "b"}, [["a"]]],
    "ints": [None, 5, [1.0], [True], ["1"], [None], {}],
    "map": [None, [], "x", {"a": []}, {"a": {}}, {"a": None}, {"a": float("nan")}, {"\ud800": 1}, {"a": "\ud800"}],
}
RIGHT: dict[str, list[Any]] = {
    "int": [0, 1, 7],
    "num": [0, 0.5, 3],
    "bool": [True, False],
    "str": ["", "x", "é\u202e\0"],
    "strs": [[], ["a", ""], ["\x1b"]],
    "ints": [[], [1, 2]],
    "map": [{}, {"a": 1, "b": "x", "c": 0.5, "d": True}],
}


@pytest.mark.parametrize("kind", WRONG)
def test_each_kind_takes_its_own_and_refuses_the_rest(kind: str) -> None:
    call = Call("x", "", (Arg("value", kind, ""),))
    for value in RIGHT[kind]:
        assert checked(call, {"value": value}) == {"value": value}
    for value in WRONG[kind]:
        with pytest.raises(Error, match=r"^value must be") as caught:
            checked(call, {"value": value})
        assert caught.value.code == "EINVAL"
        assert "\n" not in caught.value.detail


@pytest.mark.parametrize(("kind", "inside", "outside"), [
    ("int", [2, 5], [1, 6, -3]), ("num", [2, 4.9], [1.9, 5.1]), ("str", ["ab", "abcde"], ["a", "abcdef"]),
    ("strs", [["a"], ["ab", "a"]], [[], ["abcdef"]]), ("ints", [[1, 2]], [[1], [1] * 6]),
    ("map", [{"a": 1, "b": 2}], [{}, {str(n): n for n in range(6)}]),
])  # fmt: skip
def test_bounds_count_the_value_or_the_length(kind: str, inside: list[Any], outside: list[Any]) -> None:
    call = Call("x", "", (Arg("value", kind, "", low=2, high=5),))
    for value in inside:
        checked(call, {"value": value})
    for value in outside:
        with pytest.raises(Error, match="must be from 2 to 5"):
            checked(call, {"value": value})


def test_defaults_are_filled_in_and_what_is_required_is_missed() -> None:
    assert checked(TABLE["wait"], {"pid": 5}) == {"pid": 5, "nohang": False, "timeout_ms": -1}
    with pytest.raises(Error, match=r"^pid is missing"):
        checked(TABLE["wait"], {})


@pytest.mark.parametrize("given", [None, [], "x", 5])
def test_arguments_are_a_map(given: Any) -> None:
    with pytest.raises(Error, match=r"^args must be a map"):
        checked(TABLE["ps"], given)


def test_what_is_not_in_the_table_is_named_shortly() -> None:
    with pytest.raises(Error) as caught:
        checked(TABLE["ps"], {"y" * 1000: 1})
    assert len(caught.value.detail) < 100


def test_too_many_arguments_have_a_code_of_their_own() -> None:
    checked(TABLE["run"], {"agent": "say", "args": ["x" * (ARGS_MAX - 1)]})
    with pytest.raises(Error) as caught:
        checked(TABLE["run"], {"agent": "say", "args": [""] * (ARGS_MAX + 1)})
    assert caught.value.code == "E2BIG"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_the_tables_own_defaults_are_legal(call: Call) -> None:
    for arg in call.args:
        if not arg.required:
            default = list(arg.default) if isinstance(arg.default, tuple) else arg.default
            needed = {each.name: RIGHT[each.kind][1] for each in call.args if each.required}
            checked(call, {**needed, arg.name: default})
