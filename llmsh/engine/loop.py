"""The engine's loop: drain the channel, make a step of each core that has work, send what came out.

Every core has a thread; between two steps it takes the engine's lock, in a step (in llama.cpp, without
Python's lock either) it does not. A message is obeyed by the thread of the core that it concerns, so
that no context is touched while it decodes. A thread waits only when nothing of its core is leased,
or when the kernel has left a great deal unread.
"""

import os
import select
import sys
import threading
from collections import deque

from llmsh.abi import lease
from llmsh.abi.routes import Routes
from llmsh.engine.calibrate import Calibrator, Job
from llmsh.engine.channel import BROKEN, Channel, Closed
from llmsh.engine.disk import Disk
from llmsh.engine.orders import Orders
from llmsh.engine.step import Planned, Stepper
from llmsh.engine.team import Team

LINGER_MS = 5
"""How long the threads that helped a core's thread are kept after it has nothing to do."""


class Loop:
    """Serves until the kernel is gone."""

    def __init__(
        self, channel: Channel, orders: Orders, stepper: Stepper, team: Team, calibrator: Calibrator, swap_fd: int = -1
    ) -> None:
        self._channel = channel
        self._orders = orders
        self._stepper = stepper
        self._team = team
        self._calibrator = calibrator
        self._lock = threading.Lock()
        self._disk = Disk(swap_fd, orders.sequences, self._lock, self._tell)
        self._inboxes: list[deque[lease.ToCore]] = [deque() for _ in range(team.count)]
        self._bells = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(team.count)]
        self._idle = [False] * team.count
        self._routes = Routes(team.count)

    def _tell(self, done: lease.Done) -> None:
        """The disk's thread has something to say; it holds the lock."""
        self._channel.send(done)
        self._channel.flush()

    def run(self) -> None:
        """Serve; raises Closed, or what a kernel that does not speak the protocol causes (BROKEN)."""
        self._disk.start()
        for place in range(1, self._team.count):
            threading.Thread(target=self._follow, args=(place,), name=f"core {place}", daemon=True).start()
        self._serve(0)

    def _follow(self, place: int) -> None:
        """A further core's thread: its end is that of the engine."""
        try:
            self._serve(place)
        except Closed:
            os._exit(0)
        except Exception as exc:  # noqa: BLE001  a thread that is gone would leave the kernel waiting for ever
            kind = "data channel" if isinstance(exc, BROKEN) else f"core {place}"
            cause = (str(exc) or type(exc).__name__).splitlines()[0]
            sys.stderr.write(f"engine: {kind}: {cause}\n")
            sys.stderr.flush()
            os._exit(1)

    def _serve(self, place: int) -> None:
        # Exact sequences have a core of their own, but no thread: they take turns with the first.
        cores = deque([0, lease.EXACT] if place == 0 else [place])
        while True:
            with self._lock:
                self._drain(place)
                busy = {place, *(self._routes.place(each.core) for each in self._orders.working.values())}
                step = self._begin(cores, alone=len(busy) == 1)
                job = self._calibrator.begin(place, wanted=bool(self._orders.working))
                self._idle[place] = step is None and job is None
                self._channel.flush()
            if step is not None:
                self._step(step, place, len(busy))
            elif job is not None:
                self._measure(job, place)
            else:
                self._wait(place)

    def _step(self, step: Planned, place: int, busy: int) -> None:
        with self._lock:
            threads = self._team.threads(busy, step.size, step.prompt)
            self._team.pin(place, busy, threads)
        self._stepper.decode(step, threads, busy)
        with self._lock:
            self._stepper.end(step)
            self._channel.flush()

    def _measure(self, job: Job, place: int) -> None:
        self._team.put(place, job.order.cores, job.order.threads)
        self._calibrator.decode(job)
        with self._lock:
            self._calibrator.end(job)
            self._channel.flush()

    def _begin(self, cores: deque[int], *, alone: bool) -> Planned | None:
        """The next step of the first of these cores that has anything to do; it is the last next time."""
        for _ in range(len(cores)):
            step = self._stepper.begin(cores[0], alone=alone)
            cores.rotate(-1)
            if step is not None:
                return step
        return None

    # Messages.

    def _drain(self, place: int) -> None:
        for message in self._channel.receive(wait=False):
            if isinstance(message, lease.Transfer):
                self._disk.take(message)  # now: a DROP behind it may be another core's, and obeyed first
                continue
            self._deliver(self._routes.of(message), message, place)
        inbox = self._inboxes[place]
        if inbox:
            self._calibrator.clear(place)
        while inbox:
            message = inbox.popleft()
            if isinstance(message, lease.Threads):
                self._team.set(message.cores, message.threads, message.threads_batch)
                continue
            if isinstance(message, lease.Measure):
                self._calibrator.take(message)
                continue
            if isinstance(message, lease.Pack):
                self._orders.pack(message)
                continue
            there = self._routes.now(message.q, place)
            if there != place:  # it moved while this waited
                self._deliver(there, message, place)
                continue
            self._orders.obey(message)
            sequence = self._orders.sequences.get(message.q)
            self._routes.obeyed(message, sequence.core if sequence is not None else 0)

    def _deliver(self, there: int, message: lease.ToCore, here: int) -> None:
        self._inboxes[there].append(message)
        if there != here and self._idle[there]:
            os.eventfd_write(self._bells[there], 1)

    def _wait(self, place: int) -> None:
        """Until a message comes, for anyone, or is laid into our inbox."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN | (select.POLLOUT if self._channel.pending else 0))
        poll.register(self._bells[place], select.POLLIN)
        if self._team.helped and not poll.poll(LINGER_MS):
            self._team.dismiss()
        if not poll.poll(self._calibrator.patience(place)):
            with self._lock:
                self._calibrator.tidy(place)
            return
        try:
            os.eventfd_read(self._bells[place])
        except BlockingIOError:
            return
