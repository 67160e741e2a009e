"""What each session was granted on all cores of a device, and what it has used of that: counters of tokens, by weight.

A session that comes begins a little behind the least of those that are there, as a task that wakes does under
CFS: it is served at once, and neither sleeping nor respawning earns it more. O(log n) a charge and a core.
"""

import itertools
from collections.abc import Callable

from llmsh.kernel.sched.order import Order

CREDIT = 32.0
"""Tokens that a session that comes again may be behind the least of the others. One that was never there is as far as
that: it cost two thirds of a core to begin a new one for each short answer, where a half is due."""
KEPT = 64
"""Idle sessions that are remembered in any case."""
_numbers = itertools.count(1)


class Account:
    """One session in one count. `present`: on how many cores it has a task that can run."""

    __slots__ = ("count", "ident", "present")

    def __init__(self) -> None:
        self.ident = next(_numbers)
        self.present = 0
        self.count = 0.0


class Counters:
    """A count of each session."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._order: Order[float, Account] = Order()
        """Those that are present."""
        self._floor = 0.0
        """The least count of them, as far as it was ever known."""
        self._many = KEPT
        """So many are looked through for idle ones when there is one more."""

    def __getitem__(self, session: str) -> float:
        account = self.accounts.get(session)
        return account.count if account is not None else 0.0

    def enter(self, session: str) -> None:
        """It has a task on a core that had none of it."""
        account = self.accounts.get(session)
        known = account is not None
        if account is None:
            account = self._open(session)
        if not account.present:
            credit = CREDIT if known and len(self._order) else 0.0
            account.count = max(account.count, self._least() - credit)
        account.present += 1
        self._order.put(account, account.count)

    def leave(self, session: str) -> None:
        """Its last task on a core is gone."""
        account = self.accounts[session]
        account.present -= 1
        if not account.present:
            self._least()  # that may have been its own
            self._order.drop(account)

    def charge(self, session: str, cost: float) -> None:
        """So much more, or (negative) less. Who comes first without having been in line pays for it, too, where anybody
        is in line."""
        account = self.accounts.get(session)
        if account is None and cost > 0 and len(self._order):
            account = self._open(session)
            account.count = self._least()
        if account is not None:
            account.count += cost
            if account.present:
                self._order.put(account, account.count)

    def _open(self, session: str) -> Account:
        self._forget()
        account = self.accounts[session] = Account()
        return account

    def _least(self) -> float:
        first = self._order.first()
        if first is not None:
            self._floor = max(self._floor, first.count)
        return self._floor

    def _forget(self) -> None:
        """Sessions that are absent and not ahead carry no information: forget them. Looked for when their
        number has doubled, so that it costs the same for any number."""
        if len(self.accounts) < self._many:
            return
        ahead = self._least() - CREDIT
        self.accounts = {name: each for name, each in self.accounts.items() if each.present or each.count > ahead}
        self._many = KEPT + 2 * len(self.accounts)


class Ledger:
    """Of one device, for one policy."""

    def __init__(self) -> None:
        self.granted = Counters()
        self.used = Counters()
        self.parts: dict[str, float] = {}
        """By session that has some of its tasks on other devices: which part of it is here, 1 for all others."""
        self._moved: list[Callable[[str], None]] = []

    def watch(self, moved: Callable[[str], None]) -> None:
        """A core wants to know of whom more, or less, was granted."""
        self._moved.append(moved)

    def enter(self, session: str) -> None:
        """See Counters."""
        self.granted.enter(session)
        self.used.enter(session)

    def leave(self, session: str) -> None:
        """See Counters."""
        self.granted.leave(session)
        self.used.leave(session)

    def grant(self, session: str, cost: float) -> None:
        """It was granted, or (negative) gave back, service worth so many tokens."""
        self.granted.charge(session, cost / self.parts.get(session, 1.0))
        for moved in self._moved:
            moved(session)

    def use(self, session: str, cost: float) -> None:
        """It has used so much of that."""
        self.used.charge(session, cost / self.parts.get(session, 1.0))
