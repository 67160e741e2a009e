"""A command line to what is to run: what the general options refuse themselves."""

import pytest

from llmsh.abi.limits import PIPE_MAX, PIPE_MIN
from llmsh.lib.options import Usage
from llmsh.lib.start import agent_spec


@pytest.mark.parametrize("size", [0, 1, PIPE_MIN - 1, PIPE_MAX + 1])
def test_a_pipe_of_a_size_that_there_is_not(size: int) -> None:
    with pytest.raises(Usage, match=f"^--pipe-capacity: expected {PIPE_MIN} to {PIPE_MAX} bytes, found {size}$"):
        agent_spec("ask", ["--pipe-capacity", str(size), "hi"])


def test_a_pipe_of_a_size_that_there_is() -> None:
    assert agent_spec("ask", ["hi"]).capacity == 0
    for size in (PIPE_MIN, PIPE_MAX):
        assert agent_spec("ask", ["--pipe-capacity", str(size), "hi"]).capacity == size
