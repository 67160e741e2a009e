"""The weights of one core's runnable tasks, summed by session; tasks of one session that weigh alike are kept together.

Whoever asks which of many should move looks at a few, and adds up nothing. It knows no stream.
"""

from collections.abc import Callable, Iterator

from llmsh.kernel.sched import Task

Kind = tuple[str, float, bool]
"""Session, weight, and whether in the foreground: who has all in common is as good as another."""


class Weights:
    """Tasks by what they weigh. `put` again whoever's weight has changed."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        """By session."""
        self.fronts: dict[str, float] = {}
        """The same of those in the foreground."""
        self.kinds: dict[Kind, dict[int, Task]] = {}
        self._kind: dict[int, Kind] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._kind)

    def put(self, task: Task) -> None:
        """It is here, with the weight that it has now."""
        kind = (task.group, task.weight, task.foreground)
        if self._kind.get(task.ident) == kind:
            return
        self.drop(task)
        self._kind[task.ident] = kind
        self.kinds.setdefault(kind, {})[task.ident] = task
        self.sums[task.group] = self.sums.get(task.group, 0.0) + task.weight
        self._counts[task.group] = self._counts.get(task.group, 0) + 1
        if task.foreground:
            self.fronts[task.group] = self.fronts.get(task.group, 0.0) + task.weight

    def drop(self, task: Task) -> None:
        """It is not here any more."""
        kind = self._kind.pop(task.ident, None)
        if kind is None:
            return
        session, weight, foreground = kind
        del self.kinds[kind][task.ident]
        if not self.kinds[kind]:
            del self.kinds[kind]
        self.sums[session] -= weight
        if foreground:
            self.fronts[session] -= weight
        self._counts[session] -= 1
        if not self._counts[session]:  # what rounding has left of it goes, too
            del self.sums[session], self._counts[session]
            self.fronts.pop(session, None)

    def first(self, kinds: Iterator[Kind], free: Callable[[Task], bool], most: int) -> Task | None:
        """The first of these kinds that is free, if it is among so many. Who is not goes to the end of its kind, so
        that others are looked at next time."""
        for kind in kinds:
            some = self.kinds[kind]
            for task in list(_few(some, most)):
                most -= 1
                if free(task):
                    return task
                some[task.ident] = some.pop(task.ident)
            if most <= 0:
                return None
        return None


def _few(some: dict[int, Task], most: int) -> Iterator[Task]:
    for _, task in zip(range(most), some.values(), strict=False):
        yield task
