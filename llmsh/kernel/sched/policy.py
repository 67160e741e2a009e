"""What a scheduling policy is: an order over runnable tasks. It grants nothing itself.

Decide, then do, then account: the dispatcher asks `pick`, grants a lease, and charges what was
granted; what was granted and not used is given back by a negative charge.
"""

from abc import ABC, abstractmethod
from math import inf

from llmsh.abi.nice import weight

FOREGROUND = 8.0
"""What the foreground's weight is multiplied by."""


class Goal:
    """What a process has stated: when it wants to be done, or what being done is worth to it."""

    __slots__ = ("due", "firm", "input", "late", "left", "value")

    def __init__(self, due: float = inf, value: float = 0.0, left: float = 1.0, fed: float = 0.0) -> None:
        self.due = due
        """The moment, on the kernel's clock, by which it should have ended; inf for none."""
        self.value = value
        self.late = False
        """The moment has passed, or it cannot be met and it runs all the same."""
        self.firm = False
        """Better refused than late, as long as nothing has been done for it."""
        self.left = left
        """The tokens that it is expected to make still; what is granted is taken off, and comes back if it was not
        used. Below 0 when more was needed than was expected."""
        self.input = fed
        """What the input that it is expected to read still costs, in generated tokens."""

    @property
    def work(self) -> float:
        """What is left, or the least that there can be."""
        return max(1.0, max(0.0, self.left) + self.input)


class Task:
    """What a policy knows of a stream. The dispatcher owns it; `key` fields are the policy's."""

    __slots__ = (
        "ahead",
        "arrival",
        "boost",
        "bound",
        "era",
        "foreground",
        "goal",
        "group",
        "had",
        "ident",
        "level",
        "nice",
        "served",
        "since",
        "sunk",
        "urgent",
        "vtime",
    )

    def __init__(self, ident: int, group: str, nice: int = 0) -> None:
        self.ident = ident
        self.group = group
        self.nice = nice
        # Set by the dispatcher.
        self.foreground = False
        self.boost = 0
        """Tokens that it may still make before everybody else."""
        self.ahead = 0.0
        """What the input that is still to be computed costs, in tokens."""
        self.bound = inf
        """The most that it can still cost, in tokens, by the limits that were stated."""
        self.since = 0.0
        """When it last became runnable or last made a token."""
        self.goal: Goal | None = None
        self.era = 0
        """Which policy of its core the account below belongs to."""
        self.urgent = 0
        """Its place among those who come before everybody, as long as it has a boost; 0 for none yet."""
        # Set by the policy.
        self.arrival = self.level = 0
        self.sunk = 0
        self.vtime = self.served = self.had = 0.0

    @property
    def weight(self) -> float:
        """Share by nice, more in the foreground."""
        return weight(self.nice) * (FOREGROUND if self.foreground else 1.0)


class Policy(ABC):
    """An order over the runnable tasks of one core. What is not said otherwise: an order in which places are the
    same on every core, and in which sessions mean nothing."""

    name: str
    sessions = False
    """Whether it shares between sessions first."""
    yields = False
    """Whether those behind a task that was granted a lease are next (fcfs), or it is asked again (fair)."""
    strict = False
    """Whether a task waits while another runs that `preempts` it, also where there is a seat."""

    @abstractmethod
    def add(self, task: Task) -> None:
        """The task is runnable (it joins or wakes)."""

    @abstractmethod
    def remove(self, task: Task) -> None:
        """The task is not runnable any more."""

    @abstractmethod
    def pick(self) -> Task | None:
        """The task that deserves the next tokens most; changes nothing."""

    @abstractmethod
    def rank(self, task: Task) -> tuple[float, ...]:
        """Sorts tasks by how little they deserve: the greatest gives up its cells first."""

    @abstractmethod
    def charge(self, task: Task, cost: float) -> None:
        """The task was granted (or, negative, gave back) service worth so many tokens."""

    def fed(self, task: Task, cost: float) -> None:
        """Input worth so many tokens was computed for the task; `ahead` is what is left of it."""
        self.charge(task, cost)

    @abstractmethod
    def __len__(self) -> int: ...

    def lag(self, task: Task) -> float:
        """How far the task is ahead of the one of its session that deserves most."""
        return 0.0

    def join(self, task: Task, lag: float) -> None:
        """A runnable task comes from another core, where it was so far ahead."""
        self.add(task)

    def begin(self) -> None:  # noqa: B027  most remember nothing of a plan
        """A plan begins."""

    def lead(self, task: Task, session: str) -> float:
        """How many tokens more the task's session has used than another; asked only if `sessions`."""
        return 0.0

    def holds(self, task: Task) -> bool:
        """Whether a task that has all the lease it can use holds back those behind it until their turn comes."""
        return False

    def waits(self, task: Task) -> bool:
        """Whether a task's session has had too much to run beside those for whom `holds` was asked in this plan; then
        that is so for all behind it."""
        return False

    def behind(self, task: Task) -> bool:
        """The same of the task among those of its session."""
        return False

    def preempts(self, task: Task, other: Task) -> bool:
        """Whether a task without a seat takes that of another, whose lease ends now."""
        return False

    def starved(self, task: Task) -> None:  # noqa: B027  that token is all it gets
        """The task has waited longer than anybody should; its next token comes before everybody's."""

    def park(self, task: Task, session: bool = False) -> None:
        """Leave the task, or (only if `sessions`) all of its session, out of `pick` until the task's `unpark`;
        accounts stay."""
        self.remove(task)

    def hold(self, task: Task) -> None:
        """Leave the task out for more than one plan: who comes meanwhile comes as if it were there."""
        self.park(task)

    def unpark(self, task: Task) -> None:
        """Undo `park` and `hold`."""
        self.add(task)
