"""The fake device: an engine without a model, over a clock. It drives most tests and serves the model `fake`.

The rules of leases are fakeengine.py's; here are the channel, the incarnations, and the ways in which an
engine can go wrong: crash, hang, refuse to start, abort of a step. It knows no thread and no OS process.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from llmsh.abi import lease
from llmsh.abi.errors import Error
from llmsh.abi.routes import Routes
from llmsh.drivers import fakeschema
from llmsh.drivers.fakecore import CELL_BYTES, Options, Plan, ProtocolError, rule
from llmsh.drivers.fakeengine import FakeEngine, SwapFile
from llmsh.drivers.faketext import VOCAB, Writer
from llmsh.kernel.clock import Clock, Timer
from llmsh.kernel.device import Sink

ABORT_S = 0.002
DEFAULT = Options()
MOST = 1 << 20
"""Of any option that is given in a model's name."""
Answered = Callable[[lease.Reply], None]


def options(name: str) -> Options:
    """What a model name asks for: `fake`, or `fake:ms=5,cells=2048`. Raises Error ENODEV."""
    _, _, text = name.partition(":")
    kinds = Options._field_defaults
    given: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, _, value = item.partition("=")
        if key not in kinds:
            raise Error("ENODEV", f"{name}: no option {key}; known: {' '.join(kinds)}")
        try:
            given[key] = type(kinds[key])(value)
        except ValueError:
            raise Error("ENODEV", f"{name}: {key} takes a number") from None
        low = int(key in ("cells", "sequences", "cores", "cpus"))
        if not low <= given[key] <= MOST:
            raise Error("ENODEV", f"{name}: {key} must be from {low} to {MOST}")
    return Options(**given)


class _Place:
    """A core's thread: its messages, its step under way and when that ends."""

    def __init__(self) -> None:
        self.inbox: deque[lease.ToEngine] = deque()
        self.plan: Plan | None = None
        self.timer: Timer | None = None

    def cancel(self) -> None:
        """No step, no turn."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class FakeDevice:
    """Implements kernel.device.Device. `strict`: a fault of the kernel raises AssertionError; otherwise
    the engine says Failed and dies, as a real one may.

    Tests set `poison` (a log with these bytes in it crashes the engine at the end of its step) and
    `broken` (what the engine says in place of Ready).
    """

    kind = "fake"

    def __init__(
        self, name: str, clock: Clock, options: Options = DEFAULT, writer: Writer | None = None, strict: bool = True
    ) -> None:
        self.name = name
        self.pid = 0
        self.size = options.weights << 10
        self.options = options
        self.poison = b""
        self.broken: lease.Failed | None = None
        self.incarnation = 0
        self.engine: FakeEngine | None = None
        self.alive = False
        self.hung = False
        self._clock = clock
        self._writer = writer
        self._strict = strict
        self._sink: Sink | None = None
        self._places = [_Place() for _ in range(min(options.cores, lease.CORES_MAX))]
        self._routes = Routes(len(self._places))
        self._early: deque[lease.ToEngine] = deque()
        """What came before the engine was ready."""
        self._file: SwapFile = {}
        """Of the engine that lives, or of the next."""
        self._out: deque[tuple[int, lease.FromEngine | str]] = deque()
        self._starting: Timer | None = None
        self._requests: dict[int, tuple[lease.Request, Answered]] = {}
        self._last_id = 0

    # The kernel's side.

    def start(self, sink: Sink) -> None:
        """The next incarnation; Ready follows after options.start."""
        rule(not self.alive, self.name, "started twice")
        self._sink = sink
        self.incarnation += 1
        self.alive = True
        self.hung = False
        self._starting = self._clock.call_later(self.options.start / 1000, self._ready)

    def post(self, message: lease.ToEngine) -> None:
        """Queue a message; it is taken between two steps."""
        if not self.alive:
            return
        if self.engine is None:
            self._early.append(message)
        else:
            self._deliver_to(self._routes.of(message), message)

    def request(self, message: lease.Request, reply: Answered) -> None:
        """Ask on the control channel, which answers while a step runs."""
        self._last_id += 1
        number = self._last_id
        self._requests[number] = (msgspec.structs.replace(message, id=number), reply)
        if not self.alive:
            self._clock.call_later(0, partial(self._answer, number, "engine died"))
        elif self.engine is not None:
            self._clock.call_later(self.options.control / 1000, partial(self._control, number))

    def abort(self, core: int, step: int) -> None:
        """Abort the step if it is the one under way."""
        for place in self._places:
            plan = place.plan
            if plan is not None and (plan.core, plan.no) == (core, step) and not (self.hung or self.options.deaf):
                place.cancel()
                place.timer = self._clock.call_later(ABORT_S, partial(self._undo, place))

    def kill(self) -> None:
        """SIGKILL."""
        self.crash("killed by signal 9")

    def close(self, keep: bool = False) -> None:
        """End of file on the channel."""
        file = self._file
        self.crash("closed")
        self._file = file if keep else {}

    # The tests' side.

    def crash(self, reason: str = "killed by signal 6", keep: int | None = None) -> None:
        """The engine dies now: of what it has said and the kernel has not read, `keep` messages arrive."""
        if not self.alive:
            return
        self._cancel()
        while keep is not None and len(self._out) > keep:
            self._out.pop()
        self.alive = False
        self.engine = None
        self._file = {}
        self._places = [_Place() for _ in self._places]
        self._routes = Routes(len(self._places))
        self._early.clear()
        for number in self._requests:
            self._clock.call_later(0, partial(self._answer, number, "engine died"))
        self._say(reason)

    def hang(self) -> None:
        """The engine says nothing more, on either channel, until it is killed."""
        self.hung = True
        self._cancel()

    def hang_core(self, index: int) -> None:
        """The step under way of one core never ends; the others go on."""
        place = self._places[index]
        assert place.timer is not None, "no step is under way"
        place.timer.cancel()

    def check(self) -> list[str]:
        """Faults of the engine's books."""
        return self.engine.check() if self.engine is not None else []

    @property
    def busy(self) -> bool:
        """Whether a step is under way."""
        return any(place.plan is not None for place in self._places)

    # The engine's life.

    def _cancel(self) -> None:
        for place in self._places:
            place.cancel()
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None

    def _say(self, message: lease.FromEngine | str) -> None:
        self._out.append((self.incarnation, message))
        if len(self._out) == 1:
            self._clock.call_later(0, self._deliver)

    def _deliver(self) -> None:
        """Give the kernel what was said, in order; a text is the reason of a death."""
        for _ in range(len(self._out)):
            incarnation, message = self._out.popleft()
            if self._sink is None:
                return
            if isinstance(message, str):
                self._sink.died(incarnation, message)
            else:
                self._sink.received(incarnation, message)
        if self._out:
            self._clock.call_later(0, self._deliver)

    def _ready(self) -> None:
        self._starting = None
        if self.broken is not None:
            self._say(self.broken)
            self.crash("exited with status 1")
            return
        self.engine = FakeEngine(self.options, self._writer, self._file)
        made = self.options
        sizes = (made.cells, made.sequences, made.longest, CELL_BYTES)
        facts = (made.cores, "bytes", made.cpus, bool(made.lone))
        self._say(lease.Ready(0, self.name, *sizes, 1, 1, VOCAB, 1, True, True, *facts))
        for number in list(self._requests):
            self._clock.call_later(made.control / 1000, partial(self._control, number))
        while self._early:
            message = self._early.popleft()
            self._deliver_to(self._routes.of(message), message)

    def _deliver_to(self, index: int, message: lease.ToEngine) -> None:
        """Lay a message before a core; see to it that a turn comes, unless one will come anyway."""
        if isinstance(message, lease.Transfer) and not self.hung:
            self._transfer(message)
            return
        place = self._places[index]
        place.inbox.append(message)
        if place.timer is None and not self.hung:
            place.timer = self._clock.call_later(0, partial(self._turn, index))

    def _transfer(self, message: lease.Transfer) -> None:
        """The disk waits for no step: what it is to move is taken as it is now, whatever follows."""
        engine = self.engine
        assert engine is not None  # nothing is delivered to none
        engine.take(message)
        (done,) = engine.said()
        assert isinstance(done, lease.Done)  # nothing else follows from it
        self._clock.call_later(done.ms / 1000, partial(self._transferred, engine, done))

    def _transferred(self, engine: FakeEngine, done: lease.Done) -> None:
        if engine is self.engine and not self.hung:
            self._say(done)

    def _turn(self, index: int) -> None:
        """Between two steps of a core: take every message, then begin the next."""
        self._places[index].timer = None
        try:
            self._drain(index)
        except ProtocolError as exc:
            if self._strict:
                raise
            self._say(lease.Failed("EPROTO", str(exc)))
            self.crash("exited with status 1")

    def _drain(self, index: int) -> None:
        engine, place = self.engine, self._places[index]
        if engine is None:
            return
        while place.inbox:
            message = place.inbox.popleft()
            if isinstance(message, lease.Threads | lease.Measure | lease.Transfer | lease.Pack):
                engine.take(message)
                continue
            there = self._routes.now(message.q, index)
            if there != index:  # it moved while this waited
                self._deliver_to(there, message)
                continue
            engine.take(message)
            sequence = engine.sequences.get(message.q)
            self._routes.obeyed(message, sequence.core if sequence is not None else 0)
        place.plan = engine.begin(index)
        self._report(engine)
        if place.plan is not None:
            place.timer = self._clock.call_later(place.plan.ms / 1000, partial(self._finish, index))

    def _report(self, engine: FakeEngine) -> None:
        for message in engine.said():
            self._say(message)

    def _finish(self, index: int) -> None:
        place = self._places[index]
        plan, place.plan, place.timer = place.plan, None, None
        if plan is None or self.engine is None:
            return None
        if self.poison and any(self.poison in sequence.log for sequence, _ in plan.parts):
            return self.crash()
        self.engine.finish(plan)
        return self._turn(index)

    def _undo(self, place: "_Place") -> None:
        plan, place.plan, place.timer = place.plan, None, None
        if plan is None or self.engine is None:
            return
        self.engine.undo(plan)
        self._turn(self._places.index(place))

    # The control channel.

    def _control(self, number: int) -> None:
        if number not in self._requests or self.engine is None or self.hung:
            return
        try:
            self._answer(number, *_serve(self._requests[number][0]))
        except ValueError as exc:
            self._answer(number, str(exc))

    def _answer(self, number: int, error: str, tokens: list[list[int]] | None = None, text: str = "") -> None:
        if number in self._requests:
            _, reply = self._requests.pop(number)
            reply(lease.Reply(number, tokens or [], text, error))


def _serve(message: lease.Request) -> tuple[str, list[list[int]], str]:
    """Error, tokens and text of a Reply."""
    match message:
        case lease.Tokenize():
            return "", [list(text.encode()) for text in message.texts], ""
        case lease.Schema():
            return "", [], fakeschema.grammar(message.text)
        case lease.Render() if message.raw:
            return "", [list("".join(piece.content for piece in message.pieces).encode())], ""
        case lease.Render():
            turns = "".join(f"<{piece.role}>{piece.content}\n" for piece in message.pieces)
            return "", [list(f"{turns}<assistant>".encode())], ""
