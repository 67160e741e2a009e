"""A core's run queue in a plan: who is left out of it, and is back afterwards."""

import pytest

from llmsh.abi import signals as sig
from llmsh.drivers.fakecore import Options
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sched import POLICIES, Ledger, Task
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from tests.support.machine import Machine


@pytest.mark.parametrize("policy", POLICIES)
def test_who_goes_while_it_is_left_out_of_a_plan_does_not_come_back_with_it(policy: str) -> None:
    queue = RunQueue(policy, Ledger())
    gone, again, stays = (Stream(n, Task(n, f"s{n}"), exact=False) for n in (1, 2, 3))
    for each in (gone, again, stays):
        queue.add(each)
        queue.park(queue.policy, each.task, session=False)
    assert queue.policy.pick() is None
    queue.remove(gone)
    queue.remove(again)
    queue.add(again)
    assert queue.policy.pick() is again.task
    queue.unpark()
    found = []
    while (task := queue.policy.pick()) is not None:
        found.append(task)
        queue.remove(queue.streams[task.ident])
    assert set(found) == {again.task, stays.task}
    assert len(queue.policy) == 0
    accounts = queue.ledger.granted.accounts.values()
    assert [each.present for each in accounts] == [0] * len(accounts), "no session is thought to be there"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_plan_in_which_one_goes_that_was_left_out_before_leaves_no_trace_of_it(policy: str) -> None:
    """As when what a later one needs takes the copy of an earlier one from the engine."""
    m = Machine(Options(cells=20_000), settings=Settings(strict=True, policy=policy, batch=4, latency_ms=0.0))
    clients = [m.client(pid=n, sid=n) for n in (1, 2, 3)]
    pids = [client.run("ask") for client in clients]
    m.go(0.5)
    core = m.kernel.hosts["fake"].cores[0]
    streams = [m.kernel.table.get(pid).stream for pid in pids]
    seen: list[Stream] = []

    def serve(stream: Stream, most: int = 0) -> str:
        """Nobody can be served just now; the third finds that the first has to go."""
        if stream not in seen:
            seen.append(stream)
            if len(seen) == 3:
                clients[pids.index(seen[0].ident)].post("kill", pid=seen[0].ident, sig=sig.STOP)
        return "stuck"

    real, core._serve = core._serve, serve  # type: ignore[method-assign]  # the test decides
    core.plan()
    core._serve = real  # type: ignore[method-assign]  # as it was
    assert set(seen) == set(streams)
    assert seen[0] not in core.queue
    m.go(1)
    assert seen[0] not in core.queue
    counts = [m.kernel.table.get(pid).tokens_out for pid in pids]
    m.go(1)
    after = [m.kernel.table.get(pid).tokens_out for pid in pids]
    gone = streams.index(seen[0])
    assert [new > old for new, old in zip(after, counts, strict=True)] == [n != gone for n in range(3)]
    present = core.queue.ledger.granted.accounts
    if policy == "fair":
        assert sorted(account.present for account in present.values()) == [0, 1, 1]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_plan_that_fails_halfway_leaves_everybody_in_the_queue(policy: str) -> None:
    m = Machine(Options(cells=20_000), settings=Settings(strict=True, policy=policy, batch=4, latency_ms=0.0))
    client = m.client()
    for _ in range(3):
        client.run("ask")
    m.go(0.5)
    core = m.kernel.hosts["fake"].cores[0]
    seen: list[Stream] = []

    def serve(stream: Stream, most: int = 0) -> str:
        seen.append(stream)
        if len(seen) == 3:
            raise OSError("here")
        return "stuck"

    real, core._serve = core._serve, serve  # type: ignore[method-assign]  # the test decides
    with pytest.raises(OSError, match="here"):
        core.plan()
    core._serve = real  # type: ignore[method-assign]  # as it was
    assert len(core.queue.policy) == 3
