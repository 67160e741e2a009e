"""One core of a device: its run queue, its leases and its cells. Decide, then do, then account.

`plan` asks the policy who deserves tokens and grants leases; `step` and `halted` account what came
back. It knows no process and no signal, only streams.
"""

from llmsh.abi.lease import Drop, Halt, Halted, Lease, Score, Step
from llmsh.kernel import account
from llmsh.kernel.cells import Cells
from llmsh.kernel.deference import Deference
from llmsh.kernel.entry import enter
from llmsh.kernel.holder import Holder
from llmsh.kernel.pace import Pace
from llmsh.kernel.port import Port
from llmsh.kernel.precedence import Precedence
from llmsh.kernel.residence import Residence
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sched import Policy
from llmsh.kernel.seating import Seating
from llmsh.kernel.sharing import Need, Sharing
from llmsh.kernel.stream import SCORE, Stream
from llmsh.kernel.tax import Tax

EARLY = 0.8
"""Of the time that anybody waits at most: the rest is for those who are overdue together to have their turns."""

GRANTED, SERVED, STUCK, BLOCKED = "granted", "served", "stuck", "blocked"
SEATLESS, HELD, DEFERS = "seatless", "held", "defers"


class Core:
    """Run queue, leases and cells of one core."""

    def __init__(self, index: int, port: Port, cells: Cells, policy: str, seats: int, quantum: int, tax: Tax) -> None:
        self.index = index
        self.port = port
        self.cells = cells
        self.seating = Seating(seats)
        self.quantum = quantum
        self.queue = RunQueue(policy, port.ledger)
        self.leased: dict[int, Stream] = {}
        self.scoring: set[Stream] = set()
        self.suspects: list[Stream] = []
        self.sharing = Sharing(self)
        self.residence = Residence(self, tax)
        self.pace = Pace(self, port.latency_ms)
        self.deference = Deference(self)
        self.precedence = Precedence(self)
        self.heard = port.now()
        """When it last said something, or began to owe something."""
        self.steps = 0
        """The last decode of this incarnation that was told of; its first is number 1."""

    @property
    def working(self) -> bool:
        """Whether it owes a step."""
        return bool(self.leased or self.scoring)

    # The run queue.

    def wake(self, stream: Stream) -> None:
        """The stream has a goal and nothing is in its way."""
        if stream not in self.queue:
            self.port.interrupt()
            stream.task.since = self.port.now()
            fresh = min(self.sharing.ahead(stream), max(0, len(stream) - 1 - stream.reached))  # again is not more
            stream.task.ahead = fresh * self.port.input_cost
            answer = stream.answer.end - len(stream) if stream.answer is not None else account.labels(self, stream)
            stream.task.bound = stream.task.ahead + answer
            self.queue.add(stream)
            self.port.changed()

    def block(self, stream: Stream) -> None:
        """The stream must not run: its lease is taken back."""
        if self.queue.remove(stream):
            self.port.changed()
        self.sharing.waiting.drop(stream)
        self.residence.withdraw(stream)
        self.port.swap.withdraw(stream)
        self.halt(stream)

    def halt(self, stream: Stream) -> None:
        """Take the lease back; HALTED follows."""
        if stream.leased and not stream.halting:
            stream.halting = True
            self.port.post(Halt(stream.q, stream.halted))
            self.port.interrupt()

    def _refund(self, stream: Stream) -> None:
        """Its lease ends without a HALTED: what was granted and not made is given back."""
        if stream.leased:
            self.queue.charge(stream, float(min(0, len(stream) - stream.upto)))

    def drop(self, stream: Stream) -> None:
        """Forget the stream: its cells are free when the engine says so."""
        self._refund(stream)
        self.block(stream)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self.leased.pop(stream.q, None)
        if stream in self.scoring:
            self.scoring.discard(stream)
            account.unscored(self, stream)
        self.residence.doomed.discard(stream)
        self.sharing.part(stream)
        self.port.swap.gone(stream)
        if stream.q:
            op = self.port.operation(stream, self._freed)
            self.cells.leave(stream, op)
            self.port.forget(stream)
            self.port.post(Drop(stream.q, op))
        stream.void()

    # Decide.

    def plan(self) -> None:
        """Grant what the policy says. Called after every change; costs little when there is none."""
        if not self.queue or not self.port.ready or self.port.yields(self.index):
            return
        suspect = self._suspect() if self.suspects else None
        if suspect is not None:
            self._try(suspect)
            return
        for stream in self.sharing.waiting.over():
            self.queue.release(stream)
        queue = self.queue.first
        if queue is self.queue.urgent:
            self.pace.clear()
        self.pace.thin()
        self.deference.thin()
        guest = self.pace.guest()
        if guest is not None:
            self._receive(guest)
        self._renew(self.pace.first())
        try:
            self._deal(queue)
            if queue is self.queue.urgent and not self._under_way:
                self._deal(self.queue.policy)  # the urgent are all on their way here, or wait for cells
        finally:
            self.queue.unpark()

    def _deal(self, queue: Policy) -> None:
        """Serve who deserves it, one after the other, until the first who has to wait for its turn."""
        self.precedence.begin()
        queue.begin()
        while (task := queue.pick()) is not None:
            stream = self.queue.streams[task.ident]
            if queue.waits(task):
                break
            if queue.behind(task) or self.precedence.holds(queue, stream):
                self.queue.park(queue, task, session=True)
                continue
            verdict = self._serve(stream)
            if stream.leased:
                self.precedence.leads(queue, task)
            if verdict == BLOCKED:
                self._wait(stream)
            elif verdict == SEATLESS:
                if stream is not self.pace.turns.guest:
                    self._preempt(queue, stream)
                break
            elif verdict == HELD or (verdict == SERVED and queue.holds(task)):
                break
            elif self.residence.claimant is not None and self._under_way:
                self._renew(sorted(self.leased.values(), key=self.rank))
                break
            elif verdict == STUCK and stream in self.sharing.waiting and queue is self.queue.policy:
                self.queue.hold(queue, task)
            elif (verdict != GRANTED or queue.yields) and stream in self.queue:
                self.queue.park(queue, task, session=verdict == DEFERS)

    def _receive(self, guest: Stream) -> None:
        """It is the guest's turn beside the foreground, for one token: who deserves least gives up its seat."""
        verdict = self._serve(guest)
        if verdict == BLOCKED:
            self._wait(guest)
        elif verdict == SEATLESS and self.leased and self.pace.turns.takes():
            self.halt(max(self.leased.values(), key=self.rank))

    def _wait(self, stream: Stream) -> None:
        """Nobody reads what it says."""
        self.block(stream)
        stream.client.blocked("pipe")

    def _preempt(self, queue: Policy, stream: Stream) -> None:
        """There is no seat for who deserves one: if the policy says so, who deserves least gives up its own. A
        guest has its own for a step in any case, or it would be taken and given back without end."""
        self.deference.make_way(stream)
        guest = self.pace.turns.guest
        others = [
            each for each in self.leased.values() if not each.halting and each in self.queue and each is not guest
        ]
        victim = max(others, key=self.rank, default=None)
        if victim is not None and queue.preempts(stream.task, victim.task):
            self.halt(victim)

    def unseat(self) -> None:
        """More generate than there are seats for: who deserves least gives up its own."""
        leased = [each for each in self.leased.values() if each in self.queue]
        for stream in self.seating.over(leased, self.rank, self.pace.seats):
            self.halt(stream)

    @property
    def _under_way(self) -> bool:
        """Whether something will come back from the engine, and with it the next plan."""
        return bool(self.leased or self.scoring or self.cells.leaving)

    def _renew(self, streams: list[Stream]) -> None:
        """Serve these, whoever else deserves it: the foreground; and while somebody waits for cells, those
        who run, if they fit beside its claim. Who has no seat gets the first that becomes free, so who deserves
        less than that does not go on."""
        for stream in streams:
            verdict = self._serve(stream) if stream in self.queue else STUCK
            if verdict == BLOCKED:
                self._wait(stream)
            elif verdict == SEATLESS:
                break

    @property
    def tries(self) -> bool:
        """Whether a suspect of this core is to be tried, alone."""
        return bool(self.suspects) and self._suspect() is not None

    def _suspect(self) -> Stream | None:
        """The first of those that the last engine may have died of, if it can run."""
        self.suspects = [stream for stream in self.suspects if stream.suspect]
        return next((stream for stream in self.suspects if stream in self.queue), None)

    def _try(self, stream: Stream) -> None:
        """A suspect runs alone, one token, so that who kills the engine again fails alone."""
        if not self.port.calm:
            return
        # Nobody else runs, so a claim of somebody else would never be met.
        if self.residence.claimant is not stream:
            self.residence.void()
        for quota in stream.quotas:
            quota.void(stream)
        if self._serve(stream, most=1) == BLOCKED:
            self._wait(stream)
            self.plan()

    def _serve(self, stream: Stream, most: int = 0) -> str:
        """Grant a lease, of `most` tokens where it is a trial's: that is alone, and waits for nobody's turn."""
        if stream.op or stream.halting or stream in self.residence.doomed:
            return STUCK
        if stream.leased and stream.upto - len(stream) > self.quantum // 2:
            return SERVED
        if not most and (wait := self._turn(stream)):
            return STUCK if wait == SEATLESS and self._awaits(stream) else wait
        if stream.goal == SCORE and stream.ready_to_score and stream.q and not stream.leased:
            return self._score(stream)
        upto = stream.reach(most or self._quantum(stream), self.port.token_bytes)
        if upto is None:
            return SERVED if stream.leased else BLOCKED
        if stream.leased and upto <= stream.upto:
            return SERVED
        need = self.sharing.need(stream, upto)
        if need.wait or not self.residence.admit(stream, need):
            return STUCK
        self._lease(stream, upto, need)
        return GRANTED

    def _turn(self, stream: Stream) -> str:
        """Why it is not its turn, or empty."""
        if self.pace.holds(stream):
            return HELD
        if not stream.leased and self.deference.holds(stream):
            return DEFERS
        seats = self.pace.seats_of(stream)
        if not stream.leased and not self.seating.free(stream, self.leased.values(), len(self.scoring), seats):
            return SEATLESS
        return ""

    def _awaits(self, stream: Stream) -> bool:
        """Whether it could not run if it had a seat: nobody gives up one for what is only on its way."""
        need = self.sharing.need(stream, len(stream) + 1)
        limited = any(quota.lacks(self, stream, need) for quota in stream.quotas)
        return need.wait or limited or self.residence.lacks(stream, need)

    def _quantum(self, stream: Stream) -> int:
        """How long a lease may be: who only waited too long, or has a turn, gets no more than that is for."""
        task = stream.task
        if stream is self.pace.turns.guest:
            return 1
        return min(self.quantum, task.boost) if task.boost and not task.foreground else self.quantum

    # Do.

    def _lease(self, stream: Stream, upto: int, need: Need) -> None:
        length = len(stream)
        before = max(stream.upto, length)
        fresh = not stream.leased
        if fresh:
            self._enter(stream, need)
        self._hold(stream, upto)
        stream.upto = upto
        self.port.post(Lease(stream.q, stream.halted, upto, self.pace.target(stream)))
        if fresh:
            self.leased[stream.q] = stream
            stream.foresee(self.port.input_cost)  # what it shares is known only now
        self.queue.charge(stream, float(upto - before))
        stream.client.blocked("")

    def _enter(self, stream: Stream, need: Need) -> None:
        """It is to be served: the engine is told what it lacks; a core that did nothing owes from now on."""
        if not self.working:
            self.heard = self.port.now()
        self.port.swap.withdraw(stream)
        enter(self, stream, need)

    def _hold(self, stream: Stream, upto: int) -> None:
        self.cells.hold(stream, upto)
        self.sharing.collapse(stream.base)  # those who shared that may have gone while it was away

    def _score(self, stream: Stream) -> str:
        upto = len(stream) + sum(map(len, stream.labels))
        need = self.sharing.need(stream, upto)
        if need.wait or not self.residence.admit(stream, need):
            return STUCK
        self._enter(stream, need)
        self._hold(stream, upto)
        stream.op = self.port.operation(stream, self._scored)
        self.scoring.add(stream)
        self.port.post(Score(stream.q, stream.labels, stream.op))
        account.scores(self, stream)
        return GRANTED

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """See RunQueue.rank."""
        return self.queue.rank(stream)

    # Account.

    def step(self, step: Step) -> None:
        """One decode has been made."""
        account.stepped(self, step)
        self.residence.stepped(step)
        if len(self.leased) > self.seating.seats:
            self.unseat()

    def halted(self, message: Halted) -> None:
        """A lease has ended: exactly one of these for each."""
        stream = self.leased.get(message.q)
        account.halted(self, message)
        if stream is not None:
            self.residence.gave(stream)

    def _scored(self, stream: Stream, op: int, error: str, scores: list[float]) -> None:
        if stream.op != op:
            return
        stream.op = 0
        stream.suspect = False
        self.scoring.discard(stream)
        account.scored(self, stream)
        self.cells.hold(stream, stream.computed)
        if error:
            stream.client.faulted(error)
        elif stream.goal == SCORE:
            stream.client.scored(scores)

    def _freed(self, stream: Stream, op: int, error: str, scores: list[float]) -> None:
        self.cells.left(op)
        self.residence.gave(stream)
        self.plan()  # the stream may be another core's by now, and that one is planned anyway

    def rebuild(self, stream: Stream) -> None:
        """Forget the engine's copy, once it is quiet; the next lease feeds the log again. It keeps its place among
        those who can run: it did not sleep."""
        if stream.leased:
            self.halt(stream)
            stream.on_quiet.append(lambda: self.rebuild(stream))
            return
        self.residence.withdraw(stream)
        self.port.swap.withdraw(stream)
        self._forget(stream)
        self.port.changed()

    def tick(self, patience: float) -> None:
        """Who has waited for a token longer than `patience` seconds comes first, for one."""
        self.queue.overdue(self.port.now() - EARLY * patience, self.quantum)

    def void(self, kept: set[Holder]) -> list[Stream]:
        """The engine is gone: who was in the step under way is a suspect. Of those that are kept there are images."""
        caught = [*self.leased.values(), *self.scoring]
        for stream in self.leased.values():
            self._refund(stream)
        for stream in self.scoring:
            account.unscored(self, stream)
        self.queue.free()
        self.leased.clear()
        self.scoring.clear()
        self.steps = 0
        self.residence.void()
        self.residence.packing.void()
        self.sharing.void(kept)
        self.cells.void()
        return caught
