"""Scheduling policies: small modules behind one interface (policy.py)."""

from collections.abc import Callable

from llmsh.kernel.sched.deadline import Deadline
from llmsh.kernel.sched.fair import Fair
from llmsh.kernel.sched.fcfs import Fcfs
from llmsh.kernel.sched.ledger import Ledger
from llmsh.kernel.sched.mlfq import Mlfq
from llmsh.kernel.sched.policy import Goal, Policy, Task
from llmsh.kernel.sched.rr import Rr

POLICIES: dict[str, Callable[[Ledger], Policy]] = {
    "mlfq": Mlfq,
    "fair": Fair,
    "deadline": Deadline,
    "fcfs": lambda ledger: Fcfs(),
    "rr": lambda ledger: Rr(),
}
"""Every policy by name, for one core of the device that the ledger is of; the first is the default."""

__all__ = ["POLICIES", "Goal", "Ledger", "Policy", "Task"]
