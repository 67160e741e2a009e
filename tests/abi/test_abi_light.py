"""The named tuple of short commands: it does what typing's does, as far as ours use it."""

import typing
from typing import Any

import pytest

from llmsh.abi import light


class Light(light.NamedTuple):
    pid: int
    status: int = 0
    reason: str = ""

    @property
    def good(self) -> bool:
        return not self.status


class Heavy(typing.NamedTuple):
    pid: int
    status: int = 0
    reason: str = ""


@pytest.mark.parametrize(
    ("args", "given"), [((1,), {}), ((1, 2, "x"), {}), ((), {"pid": 3, "reason": "y"}), ((4,), {"status": 5})]
)
def test_it_is_made_as_typings_is(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    ours, theirs = Light(*args, **given), Heavy(*args, **given)
    assert tuple(ours) == tuple(theirs)
    assert (ours.pid, ours.status, ours.reason) == (theirs.pid, theirs.status, theirs.reason)
    assert ours._asdict() == theirs._asdict()
    assert tuple(ours._replace(status=9)) == tuple(theirs._replace(status=9))
    assert repr(ours) == repr(theirs).replace("Heavy", "Light")
    assert ours.good is (ours.status == 0)


@pytest.mark.parametrize(
    ("args", "given"), [((), {}), ((1, 2, "x", 4), {}), ((1,), {"pid": 2}), ((1,), {"nothing": 2})]
)
def test_what_typings_refuses_it_refuses(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Heavy(*args, **given)
    with pytest.raises(TypeError):
        Light(*args, **given)


def test_a_field_cannot_be_set() -> None:
    with pytest.raises(AttributeError):
        setattr(Light(1), "pid", 2)  # noqa: B010 - a type checker knows better
