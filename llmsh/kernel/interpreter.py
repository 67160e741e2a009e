"""Does the effects of one process's program, and answers it with events.

A process is a program's state and the effect it waits in; this steps the one and retries the other.
It knows no signal; a stopped process is simply not resumed.
"""

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING

from llmsh.abi.errors import Error
from llmsh.abi.lease import Reply, Schema, Tokenize
from llmsh.abi.levels import WARN
from llmsh.abi.program import (
    Compile,
    Compiled,
    Context,
    Count,
    Counted,
    Effect,
    Event,
    Exit,
    Generate,
    Generated,
    Input,
    Read,
    Refused,
    Score,
    Scored,
    Turn,
    Write,
)
from llmsh.abi.states import DISK, RUN, SLEEP, STOPPED
from llmsh.kernel.placing import Placing
from llmsh.kernel.proc import Process
from llmsh.kernel.stream import GENERATE, SCORE, Answer, Stream

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel

SLICE_S = 0.010
"""A step of a program that takes longer is a line in dmesg: such work belongs to the engine."""


class Progress:
    """How far an answer has come."""

    __slots__ = ("captured", "cut", "made")

    def __init__(self) -> None:
        self.captured = bytearray()
        self.made = 0
        self.cut = False
        """The limit on all tokens of the process has cut an answer."""


class Interpreter:
    """Program and stream client of one process."""

    __slots__ = ("_active", "kernel", "process", "progress", "stream")

    def __init__(self, kernel: "Kernel", process: Process, stream: Stream) -> None:
        self.kernel = kernel
        self.process = process
        self.stream = stream
        stream.client = self
        self._active = False
        self.progress = Progress()

    def go_on_from(self, other: "Interpreter", answer: Answer | None) -> None:
        """Make the rest of an answer that another process began."""
        self.progress = copy(other.progress)
        self.progress.captured = bytearray(other.progress.captured)
        self.stream.answer, self.stream.goal = answer, GENERATE
        effect = self.process.waiting
        file = self.process.files[effect.fd] if isinstance(effect, Generate) and effect.fd >= 0 else None
        self.stream.sink = file.pipe if file is not None else None

    # The program.

    def start(self) -> None:
        """First step; the model is there."""
        process = self.process
        program, image = process.program, process.image
        if program is not None and image is not None:
            self._take(lambda: program.start(image))
            self.resume()

    def resume(self) -> None:
        """Go on until an effect waits, or the process is stopped, dying or dead."""
        if self._active:
            return
        self._active = True
        try:
            while self._runs():
                if self.process.event is not None:
                    self._step()
                elif self.process.waiting is not None:
                    if not self._retry(self.process.waiting):
                        return
                elif self.process.effects:
                    effect = self.process.effects.pop(0)
                    self.process.waiting = effect
                    if not self._begin(effect):
                        return
                else:
                    self.kernel.end(self.process, 1, reason="the program did nothing")
        finally:
            self._active = False

    def answer(self, event: Event) -> bool:
        """The effect that the process waits in has ended so."""
        if not self.process.alive:
            return True
        self.process.waiting = None
        self.process.event = event
        self.wait("")
        self.resume()
        return True

    def wait(self, wchan: str) -> None:
        """Name what the process waits for, nothing when empty; its state follows."""
        process = self.process
        process.wchan = wchan
        if process.alive and process.state != STOPPED:
            process.move(RUN if not wchan else DISK if wchan in ("load", "swap", "tokenize") else SLEEP)

    def poke(self) -> None:
        """Something that a waiting effect may wait for has changed."""
        if self.process.waiting is not None:
            self.resume()

    def _runs(self) -> bool:
        return self.process.alive and not self.process.stopped and not self.process.dying

    def _step(self) -> None:
        process = self.process
        program, state, event = process.program, process.program_state, process.event
        process.event = None
        if program is not None and state is not None and event is not None:
            self._take(lambda: program.step(state, event))

    def _take(self, call: Callable[[], Turn]) -> None:
        began = self.kernel.clock.now()
        try:
            self.process.program_state, effects = call()
        except Error as error:
            effects = [Exit(error.status, error.detail)]
        except Exception as exc:  # noqa: BLE001  # a bug in a program ends its own process, which would wait for ever
            effects = [Exit(1, f"a bug in the program: {exc!r}")]
            if self.process.host is not None:
                self.process.host.panic(f"{self.process.agent}[{self.process.pid}]: {exc!r}")
        self.process.effects = list(effects)
        took = self.kernel.clock.now() - began
        if took > SLICE_S:
            self.kernel.say(
                f"{WARN}{self.process.agent}[{self.process.pid}]: a step of its program took {took * 1000:.0f} ms"
            )

    # Effects. Each returns whether it has ended, or can be retried at once.

    def _begin(self, effect: Effect) -> bool:
        if isinstance(effect, Read | Write):
            if isinstance(effect, Read):
                self.process.pending = frozenset()
            return self._retry(effect)
        if isinstance(effect, Exit):
            self._exit(effect)
            return False
        if isinstance(effect, Generate):
            return self._generate(effect)
        self.wait("tokenize")
        host = self.process.host
        assert host is not None
        if isinstance(effect, Context):
            Placing(self, effect).render()
        elif isinstance(effect, Score):
            host.request(Tokenize(0, effect.labels), self._score)
        elif isinstance(effect, Count):
            host.request(Tokenize(0, effect.texts), self._count)
        elif isinstance(effect, Compile):
            host.request(Schema(0, effect.schema), self._compile)
        return False

    def _exit(self, effect: Exit) -> None:
        """An answer that the process's limit cut is no success, whatever the program made of it."""
        note = self._spent if self.progress.cut and not effect.note else effect.note
        self.kernel.leave(self.process, effect.status or int(self.progress.cut), note)

    def _retry(self, effect: Effect) -> bool:
        if isinstance(effect, Read):
            return self._read(effect)
        if isinstance(effect, Write):
            return self._write(effect)
        return False

    def _read(self, effect: Read) -> bool:
        file = self.process.files[effect.fd]
        if file.pipe is None or file.writes:
            return self._got(b"", True)
        pipe, partial = file.pipe, self.process.partial
        left = effect.max - len(partial)
        newline = pipe.buffer.find(b"\n", 0, left) if effect.until == "line" else -1
        partial += pipe.take(newline + 1 if newline >= 0 else left)
        full = len(partial) >= effect.max or newline >= 0 or (effect.until == "some" and partial)
        if full or pipe.eof:
            data = bytes(partial)
            partial.clear()
            return self._got(data, pipe.eof and not (full and newline >= 0))
        self.wait("tty" if self.process.image is not None and self.process.image.tty else "input")
        if file.on_read is not None:
            file.on_read(min(effect.max - len(partial), pipe.room))
        # A work queue gives at once what it has, and who is being stepped is not poked for it.
        return bool(pipe.buffer) or pipe.eof

    def _got(self, data: bytes, eof: bool) -> bool:
        self.process.waiting = None
        self.process.event = Input(data, eof)
        self.wait("")
        return True

    def _write(self, effect: Write) -> bool:
        file = self.process.files[effect.fd]
        data = effect.data
        if file.gone:
            self.kernel.broken_pipe(self.process)
            return False
        room = file.room
        if effect.fd == 2 and room is not None:
            # Notes are no reason to wait: what nobody reads in time is lost.
            data = data[:room]
        count = len(data) if room is None else min(room, len(data))
        if not self.kernel.charge_output(self.process, effect.fd, count):
            return False
        file.write(data[:count])
        if not self.process.alive:
            return False
        if count < len(data):
            self.process.waiting = Write(effect.fd, data[count:])
            self.wait("pipe")
            return bool(file.room)  # the reader may have taken it all while it was being given
        self.process.waiting = None
        self.wait("")
        return True

    def _count(self, reply: Reply) -> None:
        self.answer(self._refusal(reply) or Counted([len(tokens) for tokens in reply.tokens]))

    def _compile(self, reply: Reply) -> None:
        self.answer(self._refusal(reply, "EINVAL") or Compiled(reply.text))

    def _refusal(self, reply: Reply, code: str = "EIO") -> Refused | None:
        return Refused(code, reply.error) if reply.error else None

    def _score(self, reply: Reply) -> None:
        if not self.process.alive:
            return
        refusal = self._refusal(reply)
        room = self.kernel.context_of(self.process) - len(self.stream)
        if refusal is None and sum(map(len, reply.tokens)) > room:
            cause = self._cause("full")
            sizes = f"labels of {sum(map(len, reply.tokens))} tokens, room for {room}"
            refusal = Refused("ENOMEM", f"{sizes}, {cause}") if cause else Refused("E2BIG", sizes)
        if refusal is not None:
            self.answer(refusal)
            return
        self.stream.labels = reply.tokens
        self.stream.goal = SCORE
        self.wake()

    @property
    def _spent(self) -> str:
        """What to say when the process has made all the tokens that it may; else empty."""
        limit = self.process.limits.tokens
        return f"limit of {limit} tokens reached" if 0 < limit <= self.process.tokens_out else ""

    def _generate(self, effect: Generate) -> bool:
        if self._spent:
            self.kernel.leave(self.process, 1, self._spent)
            return False
        file = self.process.files[effect.fd] if effect.fd >= 0 else None
        if file is not None and file.gone:
            self.kernel.broken_pipe(self.process)
            return False
        self.progress.captured.clear()
        self.progress.made = 0
        length, limits = len(self.stream), self.process.limits
        room = self.kernel.context_of(self.process) - length
        bounds = [self.kernel.own_context(self.process) - length, effect.max_tokens or 1 << 30]
        if limits.answer:
            bounds.append(limits.answer)
        if limits.tokens:
            bounds.append(limits.tokens - self.process.tokens_out)
        if min(room, *bounds) <= 0 or self.process.pending:
            why = "int" if self.process.pending else "limit" if room > 0 else "full"
            self.process.pending = frozenset()
            self.process.waiting = None
            self.process.event = Generated(why, b"", 0, self._cause(why))
            return True
        answer = self.stream.answer = Answer(length, length + min(bounds), effect.sampling)
        answer.end = min(answer.most, length + room)
        self.stream.sink = file.pipe if file is not None else None
        self.stream.goal = GENERATE
        self.wake()
        return False

    def wake(self) -> None:
        """The stream has a goal, or an engine came: let its core know, if nothing is in the way."""
        host = self.process.host
        if host is None or not self._runs():
            return
        if self.process.program_state is None:
            # Stopped while the first engine came, continued while there was none: it has not begun.
            self.kernel.go_on(self.process)
            return
        if not self.stream.goal:
            return
        if not host.ready:
            self.wait("load")
            host.memory.want(host)
            return
        sink = self.stream.sink
        if self.stream.goal == GENERATE and sink is not None and not self.stream.credit(host.token_bytes):
            self.wait("pipe")
            return
        self.wait("")
        host.wake(self.stream)

    # stream.Client

    def made(self, tokens: int, ms: float) -> None:
        """See stream.Client."""
        self.process.tokens_out += tokens
        self.process.device_ms += ms
        self.progress.made += tokens
        self.kernel.log_tokens(self.process, tokens)

    def rated(self, logprob: float) -> None:
        """See stream.Client."""
        self.process.logprob += logprob

    def computed(self, tokens: int, ms: float) -> None:
        """See stream.Client."""
        self.process.tokens_in += tokens
        self.process.device_ms += ms

    def released(self, data: bytes) -> None:
        """See stream.Client."""
        effect = self.process.waiting
        if not data or not isinstance(effect, Generate):
            return
        if effect.capture:
            self.progress.captured += data
        if effect.fd >= 0 and self.kernel.charge_output(self.process, effect.fd, len(data)):
            self.process.files[effect.fd].write(data)

    def answered(self, why: str) -> None:
        """See stream.Client."""
        effect, stream = self.process.waiting, self.stream
        answer, stream.answer, stream.goal, stream.sink = stream.answer, None, "", None
        host = self.process.host
        assert host is not None
        host.core(stream).block(stream)
        if answer is None or not isinstance(effect, Generate):
            return
        if why == "limit" and len(stream) >= self.kernel.context_of(self.process):
            why = "full"
        wanted = min(filter(None, (effect.max_tokens, self.process.limits.answer)), default=1 << 30)
        self.progress.cut = self.progress.cut or (why == "limit" and self.progress.made < wanted)
        self.answer(Generated(why, bytes(self.progress.captured), self.progress.made, self._cause(why)))

    def _cause(self, why: str) -> str:
        return self.kernel.quotas.cause(self.process) if why == "full" else ""

    def scored(self, scores: list[float]) -> None:
        """See stream.Client."""
        self.stream.goal = ""
        assert self.process.host is not None
        self.process.host.core(self.stream).block(self.stream)
        self.answer(Scored(scores))

    def faulted(self, detail: str) -> None:
        """See stream.Client."""
        self.kernel.leave(self.process, 1, detail)

    def blocked(self, wchan: str) -> None:
        """See stream.Client."""
        self.wait(wchan)

    @property
    def away(self) -> bool:
        """See stream.Client. What another program sends is a message, whichever way it comes: from a pipe, a work
        queue or a client; nothing says when it will. Who waits for its reader or for the device is about to go on."""
        return self.process.wchan in ("tty", "input") or self.process.state == STOPPED
