"""Fair shares: sessions first, then processes by nice. Source: Sheng et al., "Fairness in Serving
Large Language Models" (OSDI 2024), the virtual token counter; weights as in sched(7).

Every session has a counter of the service it was granted on all cores of the device (ledger.py), and every task
one within its session on its core, divided by its weight; whoever is lowest is next. A task that joins or wakes
starts at the minimum of those that are there, a session a little (K) below, so neither sleeping nor respawning
earns more. O(log n) a pick.

The bound. Let W be the service that a session received in some time (tokens made, and c for each
token of input that was computed), w its weight (8 in the foreground, else 1), q the quantum, s the seats
of all cores and L the longest input. If two sessions i and j are backlogged all that time, that is, each
always has, on each core, a task that a lease could be granted to, then

    | Wi / wi - Wj / wj |  <=  2 max over k in {i, j} of ((2 s + 1) q + s c L) / wk

since, for counters v: i is granted a lease only while vi <= vj. That lease adds q / wi at most, and what
was granted before adds later at most the inputs of s leases, s c L / wi. Against that vj falls only by what
is given back of leases that ended early, s q / wj at most. So vi - vj is never above (q + s c L) / wi +
s q / wj, nor, by the same words, below the negative of this with i and j exchanged; within the time it
changes by no more than the sum of the two. Service is what was granted less what is still out, which is
between 0 and s q: twice s q / w more. The paper's 2 max(wp Linput, wq M) is the case of one token at a time
(q = 1, nothing out) with M the batch. Two tasks of one session are as two sessions with s = 1, and
may be SLACK (sessions.py) further apart.

It holds while cells suffice for both; a first place for who waited too long, or before the time of a foreground,
is not in it. A session with tasks on some cores only is the first on these while it is behind: beside one process,
a flood has the other cores.
"""

from llmsh.kernel.sched.policy import Task
from llmsh.kernel.sched.sessions import Line, Sessions


class Fair(Sessions):
    """Weighted fair queueing of tokens over sessions and their tasks."""

    name = "fair"

    def key(self, task: Task) -> tuple[int, float]:
        """Who has had least for its weight."""
        return (0, task.vtime)

    def add(self, task: Task) -> None:
        """See Policy. The task's counter is raised to the minimum of those that are there."""
        line = self.line(task)
        task.vtime = max(task.vtime, _least(line))
        self.put(task, line)

    def lag(self, task: Task) -> float:
        """See Policy."""
        line = self.lines.get(task.group)
        return max(0.0, task.vtime - _least(line)) if line is not None else 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy: tasks' counters of two cores have nothing in common but their differences."""
        task.vtime = 0.0
        self.add(task)
        if lag:
            task.vtime += lag
            self.lines[task.group].tasks.put(task, self.key(task))

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (self.ledger.granted[task.group], task.vtime)

    def charge(self, task: Task, cost: float) -> None:
        """See Policy."""
        task.vtime += cost / task.weight
        line = self.lines.get(task.group)
        if line is not None:
            if task in line.tasks:
                line.tasks.put(task, self.key(task))
            _least(line)
        self.grant(task, cost)


def _least(line: Line) -> float:
    """The least counter of those that are there, as far as it was ever known."""
    there = [task.vtime for task in (line.tasks.first(), line.held.first()) if task is not None]
    least = line.floors.get(0, 0.0)
    if there and min(there) > least:
        least = line.floors[0] = min(there)
    return least
