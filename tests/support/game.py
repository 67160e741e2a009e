"""A game of one seed on the fake device: everything that users, the machine and engines may do, in any order, and then
the question whether all processes come to their end.

Sizes are small, so that cells, sequences, images and limits are all short.
"""

import random
from collections.abc import Callable
from typing import Any

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.drivers.fakecore import Options
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine

PATIENCE_S = 300.0
SIGNALS = (sig.STOP, sig.CONT, sig.KILL, sig.TERM)
DEATHS = ("killed by signal 6", "killed by signal 9")
AGENTS = ("ask", "ask", "sort", "say", "talk")
ENDINGS = {0, 1, 128 + sig.KILL, 128 + sig.TERM}


def machine(draw: random.Random) -> Machine:
    """Of random sizes, with a random policy."""
    cells = draw.choice([300, 500, 1000, 4096])
    options = Options(
        cells=cells,
        context=min(cells, 400),
        cores=draw.choice([1, 1, 2, 3]),
        sequences=draw.choice([3, 5, 8, 64]),
        answer=30,
        disk=draw.choice([0.0, 0.5]),
        start=draw.choice([5.0, 200.0]),
        save=draw.choice([1.0, 5.0]),
        prefill=draw.choice([0.2, 1.0]),
        weights=1000,
        lone=int(cells in (300, 1000)),  # drawn, it would make other games of those that are remembered
    )
    size = (options.weights + cells * options.cores) * 1024
    settings = Settings(
        strict=True,
        batch=draw.choice([1, 2, 4, 16]),
        policy=draw.choice([*POLICIES]),
        latency_ms=draw.choice([0, 20, 100]),
        swap_memory=draw.choice([0, 3000, 20_000]),
        swap_file=draw.choice([0, 20_000, 100_000, 1_000_000]),
        memory=draw.choice([0, size * 3 // 2]),
        model_turn_s=1.0,
        model_wait_s=5.0,
    )
    return Machine(options, settings=settings)


class Game:
    """One game. `play` makes the moves, `finish` lets all end."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.machine = machine(self.draw)
        self.models = self.draw.choice([["fake"], ["fake"], ["fake", "fake2"]])
        self.clients = [self.machine.client(pid=100 + n, sid=100 + n, tty=f"pts/{n}") for n in range(3)]
        self.alive: dict[int, Client] = {}
        """Whose each process is."""

    def play(self) -> None:
        """Some moves; what the kernel refuses is no fault."""
        moves: list[tuple[float, Callable[[Client], None]]] = [
            (8, self._run), (2, self._signal), (1, self._fork), (1, self._look_away), (0.6, self._policy),
            (1, self._crash), (0.8, self._renice), (6, lambda _: None),
        ]  # fmt: skip
        for _ in range(self.draw.randint(10, 60)):
            move = self.draw.choices([each for _, each in moves], [weight for weight, _ in moves])[0]
            try:
                move(self.draw.choice(self.clients))
            except (Error, KeyError):
                pass  # refused, or it will be answered later
            self.machine.go(self.draw.choice([0, 0.003, 0.01, 0.05, 0.3]))

    def _run(self, client: Client) -> None:
        draw = self.draw
        params: dict[str, Any] = {"max_tokens": draw.randint(1, 60)}
        more: dict[str, Any] = {"model": draw.choice(self.models), "nice": draw.randint(0, 5)}
        if draw.random() < 0.5:
            params["group_cells"] = draw.randint(250, 500)
        if draw.random() < 0.1:
            params["deterministic"] = True
        if draw.random() < 0.3:
            params["oom_score_adj"] = draw.choice([-500, -1, 1, 500])
        if draw.random() < 0.1:
            params |= {"deadline": draw.randint(1, 50), "late": True}
        mine = [pid for pid, owner in self.alive.items() if owner is client]
        if mine and draw.random() < 0.6:
            more["pgid"] = draw.choice(mine)
        agent, text = draw.choice(AGENTS), draw.choice("abc") * draw.randint(5, 240)
        if agent == "talk":
            pid = client.run(agent, "", stdin="client", params=params, **more)
            client.give(pid, b"".join(b"%s\n" % text[: draw.randint(2, 40)].encode() for _ in range(3)))
        else:
            pid = client.run(agent, text, params=params, **more)
        self.alive[pid] = client

    def _one(self) -> int:
        """Some process that there was; 1 if there was none."""
        return self.draw.choice([*self.alive] or [1])

    def _signal(self, client: Client) -> None:
        client.call("kill", pid=self._one(), sig=self.draw.choice(SIGNALS))

    def _fork(self, client: Client) -> None:
        self.alive[client.call("fork", pid=self._one())["pid"]] = client

    def _look_away(self, client: Client) -> None:
        client.peer.fg = not client.peer.fg

    def _policy(self, client: Client) -> None:
        client.call("sched", policy=self.draw.choice([*POLICIES]))

    def _crash(self, client: Client) -> None:
        for device in self.draw.sample([*self.machine.devices.values()], min(1, len(self.machine.devices))):
            if device.engine is not None:
                device.crash(self.draw.choice(DEATHS), self.draw.choice([None, 0, 1]))

    def _renice(self, client: Client) -> None:
        client.call("renice", pid=self._one(), nice=self.draw.randint(0, 10), relative=False)

    def finish(self) -> None:
        """Everybody goes on and ends, and nothing is left behind."""
        for pid, client in self.alive.items():
            try:
                client.call("kill", pid=pid, sig=sig.CONT)
            except (Error, KeyError):
                continue
        ended = {pid: client.exited for pid, client in self.alive.items()}
        self.machine.clock.run_until(lambda: all(has(pid) for pid, has in ended.items()), PATIENCE_S)
        self.machine.go(1)
        self.machine.sound()
        statuses = {client.ends[pid]["status"] for pid, client in self.alive.items()}
        assert statuses <= ENDINGS, statuses
