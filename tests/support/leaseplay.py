"""The lease protocol, played at random: a whole kernel over a device, every disturbance there is.

After each move the books are right. At the end everything finishes, no cell is held, and who was not
killed has said what it says when nobody disturbs it. Which device, a subclass may decide.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from llmsh.abi import signals as sig
from llmsh.drivers.fakecore import Options
from llmsh.kernel.requests import ASKS_MAX, LOST
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings
from llmsh.kernel.tax import BLOCK, RENT_MS

from .machine import Client, Machine
from .undisturbed import Job, end_of, undisturbed

OPTIONS = (
    Options(cells=2048, context=600),
    Options(cells=700, context=600, sequences=4, answer=60, lone=1),
    Options(cells=300, context=300, sequences=3, answer=40, prefill=2.0),
    Options(cells=700, context=600, sequences=3, answer=60, cores=2),
    Options(cells=300, context=300, sequences=4, answer=40, cores=3, lone=1),
    Options(cells=300, context=300, sequences=3, answer=40, ms=0.5, prefill=0.001, disk=0.05),
    Options(cells=700, context=600, sequences=4, answer=60, cores=2, disk=0.5),
)
TEXTS = ("a", "the quick brown fox", "x" * 100, "y" * 180)
LINES = (b"", b"one\n", b"one\ntwo\nthree", b"a\n\nbb\n" * 3, b"q" * 90 + b"\n" + b"r" * 80)
PARAMS: tuple[tuple[tuple[str, Any], ...], ...] = (
    (),
    (("max_tokens", 7),),
    (("seed", 5), ("stop", '["e", "tio"]')),
    (("deterministic", True),),
    (("tokens", 20),),
)

prompts = [Job(agent, text, None, params) for agent in ("ask", "say") for text in TEXTS for params in PARAMS]
scorers = [Job("sort", text) for text in TEXTS]
readers = [Job(agent, "", given, params) for agent in ("each", "talk") for given in LINES for params in PARAMS]
pipelines = [
    Job(agent, text, None, params, Job("each", "", None, after))
    for agent in ("ask", "say")
    for text in TEXTS
    for params in PARAMS[:3]
    for after in PARAMS[:2]
]
jobs = st.one_of(*map(st.sampled_from, (prompts, scorers, readers, pipelines)))


SWAPS: tuple[dict[str, Any], ...] = (
    {},
    {"swap_memory": 100 << 10},
    {"swap_memory": 100 << 10, "swap_file": 400 << 10},
    {"swap_memory": 1, "swap_file": 1 << 30, "swap_order": "none"},
)
"""What may lie in memory and in the file: a cell is 1 KiB."""


class Leases(RuleBasedStateMachine):
    """Two sessions with two connections; every job of theirs, and who was ended by force."""

    running = Bundle("running")

    @initialize(
        options=st.sampled_from(OPTIONS),
        batch=st.sampled_from((1, 3, 16)),
        quantum=st.sampled_from((1, 5, 16)),
        policy=st.sampled_from(tuple(POLICIES)),
        swap=st.sampled_from(SWAPS),
    )
    def begin(self, options: Options, batch: int, quantum: int, policy: str, swap: dict[str, Any]) -> None:
        made = Settings(strict=True, batch=batch, quantum=quantum, policy=policy, starvation_s=5, **swap)
        self.enter(Machine(options, settings=made))

    def enter(self, machine: Machine) -> None:
        """Play on this one."""
        self.machine = machine
        self.clients = [machine.client(), machine.client(pid=200, sid=200)]
        self.jobs: list[tuple[Client, Job, list[int]]] = []
        self.forced: set[int] = set()
        self.interrupted: set[int] = set()
        self.crashed = False

    # What users do.

    @rule(target=running, job=jobs, who=st.booleans(), nice=st.sampled_from((0, 0, 10)), give=st.booleans())
    def start(self, job: Job, who: bool, nice: int, give: bool) -> Any:
        client = self.clients[who]
        pids = job.start(client, give=give, nice=nice)
        self.jobs.append((client, job, pids))
        return multiple(*((client, pid) for pid in pids))

    @rule(of=running, number=st.sampled_from((sig.STOP, sig.TSTP, sig.CONT, sig.CONT)))
    def hold(self, of: tuple[Client, int], number: int) -> None:
        self._kill(of, number)

    @rule(of=consumes(running), number=st.sampled_from((sig.KILL, sig.INT, sig.TERM, sig.HUP, sig.PIPE)))
    def end(self, of: tuple[Client, int], number: int) -> None:
        (self.interrupted if number == sig.INT else self.forced).add(of[1])
        self._kill(of, number)

    def _kill(self, of: tuple[Client, int], number: int) -> None:
        client, pid = of
        if self.machine.kernel.table.find(pid) is not None:
            client.post("kill", pid=pid, sig=number)

    @rule(of=running, nice=st.integers(-5, 15))
    def renice(self, of: tuple[Client, int], nice: int) -> None:
        if self.machine.kernel.table.find(of[1]) is not None:
            of[0].call("renice", pid=of[1], nice=nice)

    @rule(who=st.booleans(), on=st.booleans())
    def read(self, who: bool, on: bool) -> None:
        self.clients[who].reading = on

    @rule(who=st.booleans(), most=st.integers(1, 50))
    def take(self, who: bool, most: int) -> None:
        client = self.clients[who]
        for pid, fd in list(client.owed):
            client.read(pid, fd, most)

    @rule(of=running)
    def supply(self, of: tuple[Client, int]) -> None:
        for client, job, pids in self.jobs:
            if pids[0] == of[1] and job.given is not None and of[1] not in client.supply:
                client.give(of[1], job.given)

    @rule(of=consumes(running))
    def close(self, of: tuple[Client, int]) -> None:
        """Whoever reads its output goes away."""
        client, pid = of
        process = self.machine.kernel.table.find(pid)
        if process is not None and 1 in process.outlets:
            self.forced.add(pid)
            client.post("close", pid=pid, fd=1)

    @rule(rent=st.sampled_from((RENT_MS, 0.01, 1.0)))
    def price(self, rent: float) -> None:
        """To lie idle, and holes, cost so much from now on: many leave and come back, and are moved."""
        for host in self.machine.kernel.hosts.values():
            host.swap.tax.rent = rent
            host.swap.tax.block = 1 if rent > RENT_MS else BLOCK

    @rule(policy=st.sampled_from(tuple(POLICIES)))
    def switch(self, policy: str) -> None:
        self.clients[0].call("sched", policy=policy)

    # What the machine does.

    @rule(seconds=st.sampled_from((0.0, 0.001, 0.004, 0.02, 0.1, 0.5, 3.0)))
    def wait(self, seconds: float) -> None:
        self.machine.go(seconds)

    @rule(steps=st.integers(1, 12))
    def events(self, steps: int) -> None:
        until = self.machine.clock.now() + 1
        for _ in range(steps):
            self.machine.clock.step(until)

    @rule(keep=st.one_of(st.none(), st.integers(0, 3)), number=st.sampled_from((sig.KILL, 6)))
    def crash(self, keep: int | None, number: int) -> None:
        """Of what the engine has said, the last messages may be lost."""
        if "fake" in self.machine.devices and self.machine.device.engine is not None:
            self.crashed |= number != sig.KILL and self.machine.kernel.hosts["fake"].busy
            self.machine.device.crash(f"killed by signal {number}", keep)

    @rule()
    def hang(self) -> None:
        if "fake" in self.machine.devices and self.machine.device.engine is not None:
            self.crashed = True
            self.machine.device.hang()

    # What must hold.

    @invariant()
    def books(self) -> None:
        if hasattr(self, "machine"):
            self.machine.sound()

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        for client, job, pids in self.jobs:
            client.reading = True
            for pid, fd in list(client.owed):
                client.read(pid, fd)
            for pid in pids:
                self._kill((client, pid), sig.CONT)
            if job.given is not None and pids[0] not in client.supply:
                client.give(pids[0], job.given)
        everybody = [(client, pid) for client, _, pids in self.jobs for pid in pids]
        self.machine.clock.run_until(lambda: all(client.exited(pid) for client, pid in everybody))
        self.settle()
        self.machine.sound()
        self._nothing_left()
        for client, job, own in self.jobs:
            self.said_right(client, job, own)

    def settle(self) -> None:
        """Long enough for a hang without leases to be found."""
        self.machine.go(200)

    def sequences(self) -> dict[int, Any] | None:
        """What the engine still knows; None when it cannot be seen."""
        engine = self.machine.device.engine
        return {} if engine is None else dict(engine.sequences)

    def _nothing_left(self) -> None:
        for host in self.machine.kernel.hosts.values():
            assert not host.busy
            assert (host.streams, host.members) == ({}, set())
            assert not host.held
            kept = {keeper.q for core in host.cores.values() for keeper in core.sharing.keepers}
            known = self.sequences()
            assert known is None or set(known) == kept
        for client in self.clients:
            assert not self.machine.kernel.callers[client].calls
            client.close()
        assert len(self.machine.kernel.table) == 0
        assert self.machine.kernel.check() == []

    def blamed(self, client: Client, pids: list[int]) -> bool:
        """Whether it was ended because engines died, or hung, while it ran: twice in a row by itself, or
        again and again while it waited for an answer."""
        reasons = [(client.exited(pid) or {"reason": ""})["reason"] for pid in pids]
        deaths = sum(host.incarnation - 1 for host in self.machine.kernel.hosts.values())
        return (self.crashed and any("died of it twice" in reason for reason in reasons)) or (
            deaths >= ASKS_MAX and any(reason.endswith(LOST) for reason in reasons)
        )

    def said_right(self, client: Client, job: Job, pids: list[int]) -> None:
        """It ended as it should have and said what it should have."""
        whole, end = undisturbed(job, self.machine.options), end_of(client, pids)
        if (self.forced | self.interrupted) & set(pids) or self.blamed(client, pids):
            # What reads an answer that was cut short, and a chat that goes on after it, say other things.
            cut = len(pids) > 1 or (job.agent == "talk" and pids[0] in self.interrupted)
            assert cut or whole.out.startswith(end.out)
        else:
            assert end == whole
