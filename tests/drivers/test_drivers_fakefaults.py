"""What goes wrong on a fake device: faults of the kernel, and deaths, hangs and aborts of the engine."""

import pytest

from llmsh.abi import lease
from llmsh.drivers.fake import FakeDevice
from llmsh.drivers.fakeclock import FakeClock
from llmsh.drivers.fakecore import Options, ProtocolError
from llmsh.drivers.faketext import Script
from tests.support.devicebench import PROMPT, Bench, Recorder


@pytest.mark.parametrize(
    "fault",
    [
        lease.Feed(1, len(PROMPT), [97]),
        lease.Cut(1, 3, op=1),
        lease.Save(1, op=1),
        lease.Load(1, op=1),
        lease.Score(1, [[97]], op=1),
        lease.Answer(1, 3, lease.Sampling()),
        lease.Open(1, 0),
        lease.Fork(1, 1, 2, op=1),
        lease.Halt(99, 0),
        lease.Lease(1, 0, 1 << 20),
    ],
    ids=lambda message: type(message).__name__,
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_only_a_bug_can_send_is_found(fault: lease.ToEngine, strict: bool) -> None:
    bench = Bench(strict=strict).begin(sampling=lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, 400))
    bench.clock.run_until(lambda: len(bench.text()) == 2)
    bench.post(fault)
    if strict:
        with pytest.raises(ProtocolError):
            bench.clock.run_until_idle()
    else:
        bench.clock.run_until_idle()
        assert [each.code for each in bench.kernel.of(lease.Failed)] == ["EPROTO"]
        assert bench.kernel.deaths == [(1, "exited with status 1")]


def test_a_decode_that_finds_the_cache_full_is_a_bug_of_the_kernel() -> None:
    bench = Bench(Options(cells=64, context=64))
    for q in (1, 2):
        bench.begin(q, lease.Sampling(ignore_eos=True), prompt=[97] * 30).post(lease.Lease(q, 0, 60))
    with pytest.raises(ProtocolError, match="nocell"):
        bench.clock.run_until_idle()


def test_an_aborted_step_is_undone_and_made_again() -> None:
    bench = Bench(Options(prefill=1.0)).begin(1, lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, 200))
    bench.clock.run_until(lambda: len(bench.text()) == 3)
    bench.begin(2, prompt=[97] * 140).post(lease.Lease(2, 0, 140))
    bench.clock.run_until(lambda: len(bench.text()) == 4)
    number = bench.kernel.of(lease.Step)[-1].no + 1
    bench.post(lease.Drop(2, op=1))
    bench.device.abort(0, number + 1)
    assert bench.device.busy
    before = bench.clock.now()
    bench.device.abort(0, number)
    bench.clock.run_until(lambda: bool(bench.kernel.of(lease.Done)))
    assert bench.clock.now() - before < 0.01
    bench.idle()
    undone = next(step for step in bench.kernel.of(lease.Step) if step.no == number)
    assert (undone.rows, undone.fed) == ([], [])
    assert len(bench.text()) == 200 - len(PROMPT)


def test_death_comes_after_the_frames_that_were_whole() -> None:
    bench = Bench(writer=Script(b"abc")).begin().post(lease.Lease(1, 0, 100))
    bench.clock.run_until(lambda: bool(bench.text()))
    replies: list[lease.Reply] = []
    bench.device.request(lease.Tokenize(0, ["x"]), replies.append)
    bench.device.crash()
    bench.post(lease.Halt(1, 0)).clock.run_until_idle()
    assert bench.kernel.deaths == [(1, "killed by signal 6")]
    assert [reply.error for reply in replies] == ["engine died"]
    assert bench.ask(lease.Tokenize(0, ["x"])).error == "engine died"


def test_a_crash_can_lose_what_was_not_read() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, 100))
    bench.clock.run_until(lambda: len(bench.device._out) == 1)
    bench.device.crash(keep=0)
    bench.clock.run_until_idle()
    assert bench.text() == b""
    assert len(bench.kernel.deaths) == 1


def test_poison_kills_the_engine_that_computes_it_and_no_other() -> None:
    bench = Bench()
    bench.device.poison = b"BAD"
    bench.begin(1).post(lease.Lease(1, 0, 300)).idle()
    assert bench.kernel.deaths == []
    bench.begin(2, prompt=list(b"so BAD")).post(lease.Lease(2, 0, 300))
    bench.clock.run_until_idle()
    assert len(bench.kernel.deaths) == 1


def test_a_hanging_engine_says_nothing_until_it_is_killed() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, 300))
    bench.clock.run_until(lambda: len(bench.text()) == 2)
    bench.device.hang()
    replies: list[lease.Reply] = []
    bench.device.request(lease.Tokenize(0, ["x"]), replies.append)
    bench.post(lease.Halt(1, 0)).clock.advance(100)
    assert (len(bench.text()), replies, bench.kernel.deaths) == (2, [], [])
    bench.device.kill()
    bench.clock.run_until_idle()
    assert bench.kernel.deaths == [(1, "killed by signal 9")]
    assert len(replies) == 1


def test_an_engine_that_cannot_serve_says_why_and_dies() -> None:
    clock, kernel = FakeClock(), Recorder()
    device = FakeDevice("fake", clock)
    device.broken = lease.Failed("ENOMEM", "too large")
    device.start(kernel)
    clock.run_until_idle()
    assert kernel.seen == [(1, device.broken)]
    assert kernel.deaths == [(1, "exited with status 1")]
