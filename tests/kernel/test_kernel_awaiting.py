"""Who waits for what another computes for both: however many they are, a plan looks at each once."""

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from llmsh.kernel.sharing import Need, Sharing
from llmsh.kernel.stream import Stream
from tests.support.machine import Machine


@pytest.mark.parametrize("many", [40, 400])
def test_those_who_wait_for_one_prompt_are_looked_at_once_and_not_in_every_plan(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    need = Sharing.need

    def counted(sharing: Sharing, stream: Stream, upto: int) -> Need:
        nonlocal looks
        looks += 1
        return need(sharing, stream, upto)

    monkeypatch.setattr(Sharing, "need", counted)
    m = Machine(Options(cells=100_000, context=4000, answer=8, sequences=64), settings=Settings(strict=True))
    client = m.client()
    pids = [client.run("ask", "s" * 1500 + f"{n:03}", params={"max_tokens": 4}) for n in range(many)]
    m.clock.run_until(lambda: client.row(pids[0])["tokens_out"] > 0)
    assert looks < 4 * many
    m.sound()
    m.clock.run_until(lambda: all(map(client.exited, pids)))
    assert sum(client.row(pid)["tokens_in"] for pid in pids) < 1500 + many * 40
    m.sound()
