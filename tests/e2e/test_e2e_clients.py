"""Many clients at once, and clients that vanish: nobody else is disturbed and nothing is left over."""

import random
import threading
from collections.abc import Callable

from tests.e2e.test_e2e_process import ENDLESS, run, sound, until
from tests.support.daemon import Daemon, Wire

CLIENTS = 200


def _one(seed: int, failures: list[str]) -> None:
    """A client that runs an agent, reads some of it, and ends it or itself at random."""
    luck = random.Random(seed)
    try:
        wire = Wire()
        pid = run(wire, f"client {seed}", params={**ENDLESS, "max_tokens": luck.randrange(1, 30)})
        match luck.randrange(4):
            case 0:
                wire.call("kill", pid=pid, sig=luck.choice((1, 2, 9, 13, 15)))
                wire.event("exit", pid=pid)
            case 1:
                wire.event("out", pid=pid)
            case 2:
                assert wire.event("exit", pid=pid)["status"] == 0
            case _:
                wire.post("kill", pid=pid, sig=19)
        wire.close()
    except Exception as exc:  # noqa: BLE001  # a thread's failure is told by the test
        failures.append(f"{seed}: {exc!r}")


def test_two_hundred_clients_at_once(daemon: Daemon, rng: random.Random) -> None:
    watcher = Wire()
    before = watcher.call("check")["descriptors"]
    failures: list[str] = []
    threads = [threading.Thread(target=_one, args=(rng.getrandbits(32), failures)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    until(watcher, lambda: watcher.call("check")["processes"] == 0)
    sound(watcher)
    # The engine's three descriptors came meanwhile.
    assert watcher.call("check")["descriptors"] <= before + 8


def test_a_client_that_vanishes_takes_its_process_along(daemon: Daemon) -> None:
    watcher, wire = Wire(), Wire()
    pid = run(wire, params={**ENDLESS, "max_tokens": 1900})
    wire.close()
    assert watcher.call("wait", pid=pid)["status"] == 129
    sound(watcher)


def test_a_detached_process_outlives_its_client(daemon: Daemon) -> None:
    watcher, wire = Wire(), Wire()
    pid = run(wire, detach=True, stdout="log", stderr="log")
    wire.close()
    assert watcher.call("wait", pid=pid)["status"] == 0
    head, body = watcher.answer(watcher.post("logs", pid=pid))
    assert head["ok"]["offset"] == len(body) > 20


def test_a_slow_reader_stops_tokens_and_nobody_else(start: Callable[..., Daemon]) -> None:
    start("-o", "pipe_capacity=512")
    slow, quick = Wire(), Wire()
    pid = run(slow, params={**ENDLESS, "max_tokens": 1900})
    quick_pid = run(quick, params={**ENDLESS, "max_tokens": 1200})
    assert quick.event("exit", pid=quick_pid)["status"] == 0
    until(quick, lambda: quick.call("ps", pids=[pid])["rows"][0]["wchan"] == "pipe")
    made = quick.call("ps", pids=[pid])["rows"][0]["tokens_out"]
    for _ in range(50):
        quick.call("null")
    assert quick.call("ps", pids=[pid])["rows"][0]["tokens_out"] == made
    assert slow.event("exit", pid=pid)["status"] == 0
    sound(quick)
