"""Makes a process of a process: the same program in the same state, on the same cells, with descriptors of its own.

A program's state is a record and its context a log, so a process can be forked whatever it does just now: what
it waits in, the child waits in, and what the engine's control thread is at for it is asked again for the child.
A deadline is a moment, and the child's too; limits are inherited, that of the group by a group of the child's own, and
what they count of tokens and output goes on, but time is counted anew, as fork(2) does for RLIMIT_CPU and alarm(2).
Source: fork(2), and vfork's older sibling in Ritchie & Thompson, CACM 17(7), 1974.
"""

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.program import Generate, Image, Read, Write
from llmsh.kernel import exec as execution
from llmsh.kernel.caller import Trap
from llmsh.kernel.interpreter import Interpreter
from llmsh.kernel.proc import Process
from llmsh.kernel.quotas import GROUP
from llmsh.kernel.sched import Task
from llmsh.kernel.stream import GENERATE, Answer, Stream

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel

SAME = -1
"""The seed that leaves a child its parent's."""


def fork(kernel: "Kernel", call: Trap) -> None:
    """sys_fork: answers with pid and pgid once the child is journaled. It goes on from this moment's log."""
    if kernel.stopping:
        raise Error("EAGAIN", "the daemon is stopping")
    parent = kernel.table.get(call["pid"])
    stream, host = parent.stream, parent.host
    if not parent.alive or parent.dying or stream is None or host is None:
        raise Error("ESRCH", f"{parent.pid}: it has no context to go on from")
    execution.room(kernel, parent.sid)
    execution.check_group(kernel, call, parent.sid)
    ends = execution.ends(call)
    child = _process(kernel, call, parent)
    execution.open_ends(kernel, call, child, ends)
    copy = Stream(child.pid, Task(child.pid, str(child.sid), child.nice), stream.exact, stream.key)
    copy.append(stream.log.tolist())
    copy.made[:] = stream.made
    interpreter = Interpreter(kernel, child, copy)
    _state(kernel, parent, child, interpreter, call["seed"])
    copy.parent = stream
    kernel.table.add(child)
    kernel.goals.fork(parent, child, host, kernel.clock.now())
    limit = kernel.quotas.of(GROUP, parent)
    cells = limit.cells if limit is not None and child.pgid == child.pid else 0
    kernel.ledger.started(child, partial(execution.journaled, kernel, call, child, interpreter, cells))


def _process(kernel: "Kernel", call: Trap, parent: Process) -> Process:
    pid = kernel.table.next_pid()
    child = Process(pid, parent.pid, call["pgid"] or pid, parent.sid, parent.agent)
    for name in ("nice", "oom", "cwd", "umask", "model", "program", "tty"):
        setattr(child, name, getattr(parent, name))
    child.args, child.env = list(parent.args), dict(parent.env)
    child.started, child.began = kernel.clock.wall(), kernel.clock.now()
    child.detached = call["detach"]
    for name in child.limits.__slots__:
        setattr(child.limits, name, getattr(parent.limits, name))
    child.image = _image(parent.image, call)
    child.tokens_out, child.output = parent.tokens_out, parent.output  # what limits count goes on
    child.logprob = parent.logprob
    return child


def _image(image: Image | None, call: Trap) -> Image | None:
    if image is None:
        return None
    sampling = image.sampling
    if call["seed"] != SAME:
        sampling = msgspec.structs.replace(sampling, seed=call["seed"])
    return msgspec.structs.replace(image, sampling=sampling, stdin=call["stdin"] != "null")


def _state(kernel: "Kernel", parent: Process, child: Process, interpreter: Interpreter, seed: int) -> None:
    """What the program was at. Effects that wait for the engine's control thread, or for scores, begin anew."""
    waiting = parent.waiting
    # What the program was made of is the child's own: its descriptors and its seed, in later answers, too.
    child.program_state = deepcopy(parent.program_state, {id(parent.image): child.image})
    child.effects, child.event = list(parent.effects), parent.event
    child.partial = bytearray(parent.partial)
    if isinstance(waiting, Read | Write):
        child.waiting = waiting
    elif isinstance(waiting, Generate) and parent.stream is not None and parent.stream.goal == GENERATE:
        child.waiting = _reseeded(waiting, seed)
        interpreter.go_on_from(kernel.interpreter(parent), _answer(parent.stream.answer, seed))
    elif waiting is not None:
        child.effects.insert(0, _reseeded(waiting, seed) if isinstance(waiting, Generate) else waiting)
    child.effects = [_reseeded(each, seed) if isinstance(each, Generate) else each for each in child.effects]


def _reseeded(effect: Generate, seed: int) -> Generate:
    if seed == SAME:
        return effect
    return msgspec.structs.replace(effect, sampling=msgspec.structs.replace(effect.sampling, seed=seed))


def _answer(answer: Answer | None, seed: int) -> Answer | None:
    """The rest of the same answer."""
    if answer is None:
        return None
    sampling = answer.sampling if seed == SAME else msgspec.structs.replace(answer.sampling, seed=seed)
    copy = Answer(answer.at, answer.most, sampling)
    copy.data, copy.taken, copy.safe = bytearray(answer.data), answer.taken, answer.safe
    return copy
