"""What processes want to be done by, and whether it can be: admission to deadlines by what is measured.

A deadline that the device cannot keep is refused when it is stated, with the figures, or marked late; one
that has passed is marked. It orders nobody: the policy `deadline` does. Sources: Liu and Layland (1973) for
the test of feasibility; sched_setattr(2) for the refusal, EBUSY.

How much work there is, is estimated when a goal is stated; how long the input is, is known when it is placed, so a
goal is judged then once more, and refused, or marked if it has already had service.

The test: with the newcomer, each goal must end in time where and when it will run (feasible.py), at the rate of a
sequence that runs alone on a core, as measured, times the model's part of the machine; what is in the foreground
goes before. So it knows of what is there now, and of each what it is expected to take: a process that makes
more than was expected, a foreground or a model that comes later, a lease or a step under way may make a goal late.
"""

from math import inf

from llmsh.abi.errors import Error
from llmsh.abi.lease import EXACT
from llmsh.kernel.balance import EXPECTED, ahead
from llmsh.kernel.feasible import Job, missed
from llmsh.kernel.host import Host
from llmsh.kernel.params import Params
from llmsh.kernel.proc import Process
from llmsh.kernel.sched import Goal, Task
from llmsh.kernel.speed import alone

POLICY = "deadline"
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
        made, fed = self._expected(process, host)
        goal = Goal(now + params.deadline if params.deadline else inf, params.value, made, fed)
        goal.firm = not params.late
        if params.deadline:
            # Under another policy nothing is refused; what could not be kept even alone is late from the start.
            ordered = host.policy == POLICY
            cause = (
                self._judge(process, goal, host, now) if ordered else _alone(goal, _rate(process, host, now)[0], now)
            )
            if cause and goal.firm and ordered:
                raise Error("EBUSY", f"a deadline of {params.deadline:g} s cannot be met: {cause}")
            goal.late = bool(cause)
        return goal

    def add(self, process: Process, goal: Goal, host: Host, now: float) -> None:
        """The process is there, and its goal counts from now on."""
        process.goal = goal
        self._open[process.pid] = (process, goal)
        judged = host.policy == POLICY and _rate(process, host, now)[0] > 0
        if goal.due < inf and not judged:
            self._untried.add(process.pid)

    def fork(self, parent: Process, child: Process, host: Host, now: float) -> None:
        """The child has its parent's goal, and what is left of its work. It is refused to nobody, but marked."""
        if parent.goal is None:
            return
        goal = Goal(parent.goal.due, parent.goal.value, parent.goal.left, parent.goal.input)
        goal.late = parent.goal.late
        if goal.due < inf and host.policy == POLICY and not goal.late:
            goal.late = bool(self._judge(child, goal, host, now))
        self.add(child, goal, host, now)

    def placed(self, process: Process, tokens: int, now: float) -> str:
        """So many tokens of its input are to be computed next. Why a goal that was accepted with less cannot be met,
        if it is to be refused for that: nothing has been done for it yet."""
        goal, host = process.goal, process.host
        if goal is None or host is None:
            return ""
        fed = tokens * host.input_cost
        more, goal.input = fed > goal.input, max(fed, goal.input)
        if not more or goal.late or goal.due == inf or host.policy != POLICY:
            return ""
        cause = self._judge(process, goal, host, now)
        if not cause or (goal.firm and not (process.tokens_in or process.tokens_out)):
            return cause
        self.passed(process)
        return ""

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
            if host is not None and host.policy == POLICY and _rate(process, host, now)[0]:
                self._untried.discard(pid)
                if self._judge(process, goal, host, now):
                    self.passed(process)

    def _expected(self, process: Process, host: Host) -> tuple[float, float]:
        """What a process that has not begun will make and read, in generated tokens."""
        size = sum(len(arg.encode()) for arg in process.args) / BYTES_A_TOKEN
        fed, made = self._means.get(process.agent, (size, EXPECTED))
        limits = [limit for limit in (process.limits.tokens, process.limits.answer) if limit]
        return float(min(limits, default=made)), max(size, fed) * host.input_cost

    def _judge(self, process: Process, goal: Goal, host: Host, now: float) -> str:
        """Why the goal cannot be met beside those that are to be met; empty when it can, or nothing is measured."""
        rate, cores = _rate(process, host, now)
        cause = _alone(goal, rate, now)
        if cause or not rate:
            return cause
        same = [each for each in self._open.values() if each[0].model == process.model and each[1] is not goal]
        others = [each for each in same if each[1].due < inf and not each[1].late]
        front = [_front(host, core) for core in range(cores)]
        jobs = [_job(*each, host, rate) for each in [*others, (process, goal)]]
        found = missed(jobs, [now + tokens / rate for tokens in front])
        if found is None:
            return ""
        late, end = found
        before = sum(job.work for job in jobs[:-1] if job.due <= jobs[late].due) * rate
        whose = "before it" if late == len(others) else "due by a deadline that it would break"
        behind = f" behind {min(front):.0f} of the foreground" if min(front) else ""
        on = f" on each of {cores} cores" if cores > 1 else ""
        return (
            f"{goal.work:.0f} tokens of work and {before:.0f} {whose}{behind}, at {rate:.1f} a second{on}, "
            f"take {end - now:.1f} s"
        )


def _alone(goal: Goal, rate: float, now: float) -> str:
    """Why the goal cannot be met even with a core to itself; empty when it can, or the rate is not known (0)."""
    if not rate or now + goal.work / rate <= goal.due:
        return ""
    return f"{goal.work:.0f} tokens of work at {rate:.1f} a second take {goal.work / rate:.1f} s"


def _rate(process: Process, host: Host, now: float) -> tuple[float, int]:
    """Tokens a second that the process would make alone on a core beside the other models, 0 while nothing is
    measured; on how many cores goals can run."""
    stream = process.stream
    queued = stream is not None and any(stream in core.queue for core in host.cores.values())
    rate, cores = alone(host, now, queued=queued)
    more = [] if queued else [Task(process.pid, str(process.sid), process.nice)]
    return rate * host.dealing.share(host, more), cores


def _job(process: Process, goal: Goal, host: Host, rate: float) -> Job:
    """The goal with the work that it takes, also to compute again what was lost."""
    stream, left, core = process.stream, goal.work, -1
    if stream is not None:
        left = stream.ahead(goal) + max(0, stream.reached - stream.computed) * host.input_cost
        core = 0 if stream.exact else stream.core
    return Job(goal.due, left / rate, core, stream is not None and stream.exact)


def _front(host: Host, index: int) -> float:
    """The tokens that go before goals on a core. The exact core shares the first one's thread."""
    pair = (0, EXACT) if not index else (index,)
    return sum(ahead(host.cores[each].queue) for each in pair if each in host.cores)
