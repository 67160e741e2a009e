"""JSON by C functions alone: the same text and the same values as Python's own package gives."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi import jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_value_is_written_as_json_writes_it(value: Any) -> None:
    assert jsontext.dumps(value) == json.dumps(value, separators=(",", ":"))


@given(st.text() | VALUES.map(json.dumps) | st.text('[]{}",:0123456789eE+-. \nntfalsrueNIy\\'))
def test_a_text_is_read_as_json_reads_it(text: str) -> None:
    try:
        wanted = repr(json.loads(text))
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - which kind is not promised
            jsontext.loads(text)
    else:
        assert repr(jsontext.loads(text)) == wanted


def test_what_is_nested_too_deeply_is_an_error() -> None:
    with pytest.raises(RecursionError):
        jsontext.loads("[" * 100_000)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="set is no JSON"):
        jsontext.dumps({"a": set()})


def test_neither_it_nor_a_frame_loads_what_is_slow_to_load() -> None:
    code = "import sys; b = set(sys.modules); import llmsh.abi.wire; print(*sorted(set(sys.modules) - b))"
    command = [sys.executable, "-S", "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"json", "re", "enum", "typing", "functools", "collections"}.intersection(loaded)
