"""Threads and measurements of the fake engine: how much faster more threads are, and steps of made-up work.

It knows abi/lease.py's THREADS and MEASURE, no sequence and no clock.
"""

from llmsh.abi import lease
from llmsh.drivers.fakecore import FakeCore, Options, Plan

DEFAULT = (1, 1)


class Measures:
    """One incarnation's. `out` collects what it says."""

    def __init__(self, options: Options, cores: dict[int, FakeCore], out: list[lease.FromEngine]) -> None:
        self.options = options
        self._cores = cores
        self._out = out
        self.threads = DEFAULT
        self._jobs: dict[int, tuple[lease.Measure, list[float]]] = {}

    def take(self, message: lease.Threads | lease.Measure) -> None:
        """One message."""
        if isinstance(message, lease.Threads):
            self.threads = (message.threads, message.threads_batch)
        elif message.core not in range(self.options.cores):
            self._out.append(lease.Done(message.op, 0, 0, f"no core {message.core}"))
        else:
            self._jobs[message.core] = (message, [])

    def _speed(self, threads: int) -> float:
        return 1 + self.options.gain * (min(threads, self.options.cpus) - 1)

    def scaled(self, plan: Plan, busy: int) -> Plan:
        """A step on the threads that it has; `busy` cores work."""
        threads = self.threads[any(count > 1 for _, count in plan.parts)]
        return plan._replace(ms=plan.ms / self._speed(threads), threads=threads, busy=busy)

    def begin(self, core: int, *, wanted: bool) -> Plan | None:
        """The next step of a core's measurement; it gives way when there is real work."""
        found = self._jobs.get(core)
        if found is None:
            return None
        order, took = found
        if wanted or sum(took) >= order.ms:
            self._done(core, "" if took else "gave way")
            return None
        here, made = self._cores[core], self.options
        if order.batch * order.tokens > here.cells.free:
            self._done(core, f"no room for {order.batch} times {order.tokens} tokens")
            return None
        full = order.fill * (len(took) // lease.TURN % 2)
        if order.fill + order.batch > here.cells.free:
            self._done(core, f"no room for {order.fill} cells")
            return None
        ms = made.ms + made.each * (order.batch - 1) + made.prefill * (order.tokens - 1) * order.batch
        ms += made.cell * (here.cells.highest + full)
        here.steps += 1
        return Plan(core, here.steps, ms / self._speed(order.threads), (), order.threads, order.cores)

    def finish(self, plan: Plan) -> None:
        """A step of a measurement has ended."""
        self._jobs[plan.core][1].append(plan.ms)

    def undo(self, plan: Plan) -> None:
        """It was aborted."""
        self._done(plan.core, "aborted")

    def _done(self, core: int, error: str) -> None:
        order, took = self._jobs.pop(core)
        self._out.append(lease.Done(order.op, 0, 0, error, took))
