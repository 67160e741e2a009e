"""Delivers signals: default actions, what a program catches, stop and continue. Source: signal(7).

It decides nothing about who may signal whom; trap does. A stopped process keeps TERM and the like
pending until it continues, as Unix does; KILL and CONT are never kept.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmsh.abi.program import Generate, Read, Signal
from llmsh.abi.signals import HALT, IGNORE, KILL, RESUME, SIGNALS, TERM
from llmsh.abi.states import STOPPED
from llmsh.kernel.proc import Process

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel


def _nothing() -> None:
    return None


def send(kernel: "Kernel", process: Process, number: int, done: Callable[[], None] = _nothing) -> None:
    """Send one signal; `done` is called once it has taken effect (STOP: the process is quiet)."""
    action = SIGNALS[number][1] if number in SIGNALS else IGNORE
    if not process.alive or number == 0 or action == IGNORE:
        done()
    elif number == KILL:
        kernel.end(process, 128 + KILL, KILL)
        done()
    elif action == RESUME:
        resume(kernel, process)
        done()
    elif action == HALT:
        _stop(kernel, process, done)
    elif process.stopped:
        process.pending |= {number}
        done()
    elif process.program is not None and number in process.program.catches:
        _catch(kernel, process, number)
        done()
    elif number == TERM:
        finish(kernel, process, 128 + TERM, TERM)
        done()
    else:
        kernel.end(process, 128 + number, number)
        done()


def _stop(kernel: "Kernel", process: Process, done: Callable[[], None]) -> None:
    """No more tokens; what was computed stays. Ends when the lease has come back."""
    if process.stopped:
        _quieten(process, done)
        return
    process.move(STOPPED)

    def quiet() -> None:
        kernel.tell_state(process)
        done()

    _quieten(process, quiet)


def _quieten(process: Process, quiet: Callable[[], None]) -> None:
    """Take the lease back; `quiet` is called when it is."""
    stream, host = process.stream, process.host
    if stream is None or host is None or not host.cores:
        quiet()
        return
    leased = stream.leased
    if leased:
        stream.on_quiet.append(quiet)
    host.core(stream).block(stream)
    if not leased:
        quiet()
    host.core(stream).plan()


def resume(kernel: "Kernel", process: Process) -> None:
    """CONT: go on where it was, computing nothing again."""
    if process.state != STOPPED:
        return
    process.move(process.run_state())
    kernel.tell_state(process)
    deliver(kernel, process)
    if process.alive and not process.stopped:
        kernel.go_on(process)


def deliver(kernel: "Kernel", process: Process) -> None:
    """Send again what was kept. Whoever still cannot take it keeps it on."""
    pending, process.pending = process.pending, frozenset()
    for number in sorted(pending):
        send(kernel, process, number)


def _catch(kernel: "Kernel", process: Process, number: int) -> None:
    """INT in a chat ends the answer, or voids the line being typed."""
    if process.host is None:
        # It is still being journaled: a child may be in the middle of an answer, so its beginning delivers.
        process.pending |= {number}
        return
    interpreter, waiting = kernel.interpreter(process), process.waiting
    if isinstance(waiting, Read):
        process.partial.clear()
        interpreter.answer(Signal(number))
    elif isinstance(waiting, Generate):

        def quiet() -> None:
            stream = process.stream
            if process.alive and process.waiting is waiting and stream is not None and stream.answer is not None:
                interpreter.released(stream.answer.flush())
                interpreter.answered("int")

        _quieten(process, quiet)
    else:
        # The answer has not begun: it will end at once.
        process.pending |= {number}


def finish(kernel: "Kernel", process: Process, status: int, number: int = 0, reason: str = "") -> None:
    """End in order: the answer's bytes that are made go out, then it ends. KILL after a grace."""
    if process.dying:
        return
    process.dying = status

    def quiet() -> None:
        stream = process.stream
        if process.alive and stream is not None and stream.answer is not None:
            kernel.interpreter(process).released(stream.answer.flush())
        if process.alive:
            kernel.end(process, status, number, reason)

    _quieten(process, quiet)
    if process.alive:
        timer = kernel.clock.call_later(process.limits.grace, lambda: kernel.end(process, 128 + KILL, KILL))
        process.timers.append(timer)
