"""A conversation that outgrows its context, on the fake device: what goes, and what is told of it."""

from llmsh.drivers.fakecore import Options
from llmsh.programs.chat import Reading
from tests.support.machine import Machine

LINE = b"tell me more of it\n"


def conversation(turns: int, **limit: int) -> tuple[Machine, Reading]:
    """A chat after so many turns in a context that holds a few."""
    machine = Machine(Options(answer=20))
    client = machine.client()
    params = {"shift": True, "max_tokens": 20} | (limit or {"context": 300})
    pid = client.run("talk", "", args=[], stdin="client", params=params)
    machine.go(30)
    for _ in range(turns):
        client.call("write", LINE, pid=pid, fd=0, eof=False)
        machine.go(30)
    state = machine.kernel.table.get(pid).program_state
    assert isinstance(state, Reading)
    machine.sound()
    return machine, state


def test_a_chat_forgets_what_the_kernel_dropped() -> None:
    _, early = conversation(12)
    _, late = conversation(24)
    assert 2 <= len(early.said) < 24
    assert len(late.said) <= len(early.said)
    assert late.said[0].role == "user"


def test_a_limit_of_cells_forgets_as_a_context_does() -> None:
    """Room for an answer is half of what there is at most, whichever it is."""
    _, context = conversation(12, context=300, max_tokens=280)
    _, cells = conversation(12, group_cells=300, max_tokens=280)
    assert cells.said == context.said
    assert len(cells.said) >= 2
