"""The llama driver: incarnations, order, deaths of every kind, on asyncio with real engines."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from llmsh.abi import lease
from llmsh.drivers import incarnation
from llmsh.drivers.llama import LlamaDevice
from llmsh.kernel.trial import KILLED
from tests.support.tinymodel import make

pytestmark = pytest.mark.llama
PROMPT = list(b"A prompt of bytes")
L = len(PROMPT)
T = TypeVar("T")


class Recorder:
    """A kernel that writes down what it is told, and can be waited on."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, lease.FromEngine]] = []
        self.deaths: list[tuple[int, str]] = []
        self._news = asyncio.Event()

    def received(self, incarnation: int, message: lease.FromEngine) -> None:
        assert not self.deaths or self.deaths[-1][0] < incarnation, "a message after its engine's death"
        self.seen.append((incarnation, message))
        self._news.set()

    def died(self, incarnation: int, reason: str) -> None:
        self.deaths.append((incarnation, reason))
        self._news.set()

    async def until(self, wanted: Callable[[], T]) -> T:
        while not (found := wanted()):
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 60)
        return found

    def of(self, kind: type[T], number: int = 1) -> list[T]:
        return [message for incarnation, message in self.seen if incarnation == number and isinstance(message, kind)]

    async def first(self, kind: type[T], number: int = 1) -> T:
        return (await self.until(lambda: self.of(kind, number)))[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("model") / "tiny.gguf")


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[tuple[LlamaDevice, Recorder, list[str]]]:
    """A device with its first engine; its last one is dead at the end."""
    kernel, log = Recorder(), list[str]()
    device = LlamaDevice("tiny", str(path), cells=512, cores=1, threads=1, threads_batch=1, sequences=8, log=log.append)
    device.start(kernel)
    try:
        yield device, kernel, log
    finally:
        if device.pid:
            device.kill()
            await kernel.until(lambda: not device.pid)


def play(test: Callable[[LlamaDevice, Recorder, list[str]], Awaitable[None]], path: Path) -> None:
    async def main() -> None:
        async with running(path) as (device, kernel, log):
            await test(device, kernel, log)

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before, "descriptors were left behind"


def generate(device: LlamaDevice, q: int, upto: int) -> None:
    for message in (
        lease.Open(q, 0), lease.Feed(q, 0, PROMPT), lease.Answer(q, L, lease.Sampling()), lease.Lease(q, 0, upto)
    ):  # fmt: skip
        device.post(message)


async def ask(device: LlamaDevice, request: lease.Request) -> lease.Reply:
    future: asyncio.Future[lease.Reply] = asyncio.get_running_loop().create_future()
    device.request(request, future.set_result)
    return await asyncio.wait_for(future, 60)


def test_ready_comes_first_and_leases_are_served(model: Path) -> None:
    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        ready = await kernel.first(lease.Ready)
        assert kernel.seen[0] == (1, ready)
        assert ready.pid == device.pid
        generate(device, 1, L + 10)
        assert (await kernel.first(lease.Halted)).pos == L + 10
        rows = [row for step in kernel.of(lease.Step) for row in step.rows]
        assert [row[1] for row in rows] == list(range(L, L + 10))

    play(test, model)


def test_requests_are_answered_each_by_its_own(model: Path) -> None:
    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        texts = [f"text {i}" for i in range(20)]
        replies = await asyncio.gather(*(ask(device, lease.Tokenize(0, [text])) for text in texts))
        sizes = {len(reply.tokens[0]) for reply in replies}
        assert len(replies) == 20
        assert sizes == {len(replies[0].tokens[0]), len(replies[-1].tokens[0])}
        assert replies[3].tokens != replies[4].tokens

    play(test, model)


def test_after_a_kill_all_that_was_said_is_delivered_and_the_next_engine_serves(model: Path) -> None:
    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.first(lease.Ready)
        generate(device, 1, 400)
        await kernel.until(lambda: len(kernel.of(lease.Step)) > 20)
        os.kill(device.pid, signal.SIGKILL)
        pending: asyncio.Future[lease.Reply] = asyncio.get_running_loop().create_future()
        device.request(lease.Tokenize(0, ["x"]), pending.set_result)
        await kernel.until(lambda: kernel.deaths)
        assert kernel.deaths == [(1, "killed by signal 9")]
        assert (await pending).error in {"", "engine died"}
        numbers = [step.no for step in kernel.of(lease.Step)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert device.pid == 0
        device.post(lease.Lease(1, 0, 500))
        assert (await ask(device, lease.Tokenize(0, ["x"]))).error == "engine died"
        device.start(kernel)
        await kernel.first(lease.Ready, 2)
        generate(device, 1, L + 3)
        assert (await kernel.first(lease.Halted, 2)).pos == L + 3

    play(test, model)


def test_a_kill_for_want_of_memory_is_told_from_one_by_hand(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is nobody's fault, and of the first there would be no end."""
    counts = tmp_path / "vmstat"
    counts.write_text("pgfault 1\noom_kill 3\n")
    monkeypatch.setattr(incarnation, "_COUNTS", str(counts))

    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.first(lease.Ready)
        os.kill(device.pid, signal.SIGKILL)
        await kernel.until(lambda: kernel.deaths)
        device.start(kernel)
        await kernel.first(lease.Ready, 2)
        counts.write_text("pgfault 2\noom_kill 4\n")
        os.kill(device.pid, signal.SIGKILL)
        await kernel.until(lambda: len(kernel.deaths) > 1)
        assert kernel.deaths[0][1] in KILLED
        assert kernel.deaths[1][1] == "killed by signal 9: the system was out of memory"
        assert kernel.deaths[1][1] not in KILLED

    play(test, model)


def test_kill_ends_an_engine_that_does_not_listen(model: Path) -> None:
    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.first(lease.Ready)
        os.kill(device.pid, signal.SIGSTOP)
        device.kill()
        await kernel.until(lambda: kernel.deaths)
        assert kernel.deaths == [(1, "killed by signal 9")]

    play(test, model)


def test_close_is_an_orderly_end(model: Path) -> None:
    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.first(lease.Ready)
        device.close()
        await kernel.until(lambda: kernel.deaths)
        assert kernel.deaths == [(1, "exit status 0")]

    play(test, model)


def test_close_is_heard_while_a_lease_runs(model: Path) -> None:
    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.first(lease.Ready)
        generate(device, 1, 500)
        await kernel.first(lease.Step)
        device.close()
        await kernel.until(lambda: kernel.deaths)
        assert kernel.deaths[0][1] == "exit status 0"

    play(test, model)


def test_abort_undoes_a_step_by_its_number(model: Path) -> None:
    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.first(lease.Ready)
        device.abort(0, 2)
        device.abort(7, 1)
        generate(device, 1, L + 5)
        await kernel.first(lease.Halted)
        undone = [step.no for step in kernel.of(lease.Step) if not step.rows and not step.fed]
        assert undone == [2]

    play(test, model)


def test_a_broken_model_is_failed_and_then_death(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))

    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        failed = await kernel.first(lease.Failed)
        assert failed.code == "ENOEXEC"
        await kernel.until(lambda: kernel.deaths)
        assert kernel.deaths == [(1, "exit status 1")]

    play(test, path)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ("b'\\xff\\xff\\xff\\xff'", "message of 4294967295 bytes"),
        ("b'\\0\\0\\0\\1\\xc1'", "it sent what is no message"),
        ("b'\\0\\0\\0\\2\\x91\\xa0'", "it sent what is no message"),
        ("lease.pack(lease.Open(1, 0))", "it sent what is no message"),
        ("lease.pack(lease.Done(1, 1))[:-1]", "exit status 3"),
    ],
)
def test_what_a_hostile_engine_sends_ends_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: str, reason: str
) -> None:
    """An engine that says READY and then what is no message; its process would stay for a minute."""
    wait = "" if reason.startswith("exit") else "time.sleep(60)"
    (tmp_path / "hostile.py").write_text(
        "import socket, sys, time\n"
        "from llmsh.abi import lease\n"
        "fd = int(sys.argv[sys.argv.index('--data-fd') + 1])\n"
        "end = socket.socket(fileno=fd)\n"
        "end.sendall(lease.pack(lease.Done(5, 5)))\n"
        f"end.sendall({frames})\n{wait}\n"
        "sys.stderr.write('unfinished line')\nsys.exit(3)\n"
    )
    monkeypatch.setattr(incarnation, "COMMAND", (sys.executable, str(tmp_path / "hostile.py")))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))

    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.until(lambda: kernel.deaths)
        assert kernel.deaths[0][1].startswith(reason)
        # A length that cannot be takes with it what came in the same read.
        assert kernel.seen in ([(1, lease.Done(5, 5))], [] if "bytes" in reason else None)
        assert log == ([] if wait else ["unfinished line"])

    play(test, tmp_path / "none")


def test_an_engine_that_cannot_be_started_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incarnation, "COMMAND", (str(tmp_path / "missing"),))

    async def test(device: LlamaDevice, kernel: Recorder, log: list[str]) -> None:
        await kernel.until(lambda: kernel.deaths)
        assert kernel.deaths == [(1, "cannot be started: No such file or directory")]

    play(test, tmp_path / "none")
