"""What processes want to be done by, and whether it can be: admission to deadlines by what is measured.

A deadline that the device cannot keep is refused when it is stated, with the figures, or marked late; one
that has passed is marked. It orders nobody: the policy `deadline` does. Sources: Liu and Layland (1973) for
the test of feasibility; sched_setattr(2) for the refusal, EBUSY.

The test: for each deadline d, the work of all deadlines up to d must be done until d by the cores together,
each at the measured rate of a sequence that runs alone; and the newcomer's own by one of them. On one core
that is exact, but for the lease of somebody else that is under way; on several it is necessary and not
sufficient (Dhall and Liu, Operations Research 26, 1978).
"""

from collections.abc import Iterable
from math import inf

from llmsh.abi.errors import Error
from llmsh.abi.lease import EXACT
from llmsh.kernel.host import Host
from llmsh.kernel.params import Params
from llmsh.kernel.proc import Process
from llmsh.kernel.sched import Goal

POLICY = "deadline"
EXPECTED = 128.0
"""Tokens that an agent is expected to make that has no limit and has not ended before."""
BYTES_A_TOKEN = 4
WEIGHT = 0.3
"""Of a new end in the means of those before."""


class Goals:
    """The goals of the processes that have one."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Process, Goal]] = {}
        self._untried: set[int] = set()
        """Those that were stated when no rate was known, or under another policy."""
        self._means: dict[str, tuple[float, float]] = {}
        """By agent: tokens of its input and of its answers, in the mean of those that ended well."""

    def state(self, process: Process, params: Params, host: Host, now: float) -> Goal | None:
        """The goal that a new process states. Raises Error EBUSY when it cannot be met and need not be late."""
        if not params.deadline and not params.value:
            return None
        goal = Goal(now + params.deadline if params.deadline else inf, params.value, self._expected(process, host))
        if params.deadline and host.policy == POLICY:
            cause = self._judge(process, goal, host, now)
            if cause and not params.late:
                raise Error("EBUSY", f"a deadline of {params.deadline:g} s cannot be met: {cause}")
            goal.late = bool(cause)
        return goal

    def add(self, process: Process, goal: Goal, host: Host) -> None:
        """The process is there, and its goal counts from now on."""
        process.goal = goal
        self._open[process.pid] = (process, goal)
        judged = host.policy == POLICY and _rate(host) > 0
        if goal.due < inf and not judged:
            self._untried.add(process.pid)

    def forget(self, process: Process) -> None:
        """The process has ended; what it took is what the next of its kind is expected to take."""
        self._open.pop(process.pid, None)
        self._untried.discard(process.pid)
        if process.status == 0 and process.tokens_out:
            took = (float(process.tokens_in), float(process.tokens_out))
            fed, made = self._means.get(process.agent, took)
            self._means[process.agent] = (fed + WEIGHT * (took[0] - fed), made + WEIGHT * (took[1] - made))

    def passed(self, process: Process) -> None:
        """Its deadline has passed unmet: it goes on behind those that can still meet theirs."""
        goal = process.goal
        if goal is None or goal.late or not process.alive:
            return
        goal.late = True
        stream, host = process.stream, process.host
        if stream is not None and host is not None and host.cores:
            host.core(stream).queue.requeue(stream)
            host.core(stream).plan()

    def tick(self, now: float) -> None:
        """Who stated a deadline before it could be judged is judged as soon as it can be; who was accepted
        stays so until the time has passed."""
        for pid in sorted(self._untried):
            process, goal = self._open[pid]
            host = process.host
            if host is not None and host.policy == POLICY and _rate(host):
                self._untried.discard(pid)
                if self._judge(process, goal, host, now):
                    self.passed(process)

    def _expected(self, process: Process, host: Host) -> float:
        """The work of a process that has not begun, in generated tokens."""
        size = sum(len(arg.encode()) for arg in process.args) / BYTES_A_TOKEN
        fed, made = self._means.get(process.agent, (size, EXPECTED))
        limits = [limit for limit in (process.limits.tokens, process.limits.answer) if limit]
        return max(size, fed) * host.input_cost + float(min(limits, default=made))

    def _judge(self, process: Process, goal: Goal, host: Host, now: float) -> str:
        """Why the goal cannot be met beside those that are to be met; empty when it can, or nothing is measured."""
        rate = _rate(host)
        if not rate:
            return ""
        alone = goal.left / rate
        if now + alone > goal.due:
            return f"{goal.left:.0f} tokens of work at {rate:.1f} a second take {alone:.1f} s"
        same = [each for other, each in self._open.values() if other.model == process.model and each is not goal]
        others = [each for each in same if each.due < inf and not each.late]
        cores = max(1, host.facts.cores)
        late = _missed(others, goal, rate * cores, now)
        if late is None:
            return ""
        ahead = sum(each.left for each in others if each.due <= late.due)
        whose = "before it" if late is goal else "due by a deadline that it would break"
        on = f" on {cores} cores" if cores > 1 else ""
        return (
            f"{goal.left:.0f} tokens of work and {ahead:.0f} {whose}, at {rate:.1f} a second{on}, "
            f"take {(goal.left + ahead) / (rate * cores):.1f} s"
        )


def _rate(host: Host) -> float:
    """Tokens a second of a sequence that runs alone on a core, in the mean of the cores that were measured."""
    rates = [core.pace.steps.rate for index, core in host.cores.items() if index != EXACT]
    known = [rate for rate in rates if rate]
    return sum(known) / len(known) if known else 0.0


def _missed(others: Iterable[Goal], new: Goal, rate: float, now: float) -> Goal | None:
    """The first goal that would be missed because of the new one: with it, and not without it."""
    done = 0.0
    added = False
    for each in sorted([*others, new], key=lambda goal: goal.due):
        added = added or each is new
        done += each.left
        end = now + done / rate
        if added and end > each.due and (each is new or end - new.left / rate <= each.due):
            return each
    return None
