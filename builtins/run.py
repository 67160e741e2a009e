"""run: start an agent as a process and stand for it until it ends. See run(1)."""

import os

from llmsh.abi.errors import Error
from llmsh.abi.light import Any, signal
from llmsh.lib import agent, foreground, spawn, term
from llmsh.lib.agent import AgentSpec
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.leave import Ending, leave
from llmsh.lib.options import Usage, parse
from llmsh.lib.start import GENERAL, agent_spec

COMMAND = Command(
    "run",
    "run an agent: its signals, status, input and output are this command's",
    (
        "[OPTION]... AGENT [AGENT'S OPTION]... [TEXT]... [-]",
        "-d [OPTION]... AGENT [TEXT]...",
        "--best-of N [OPTION]... AGENT [TEXT]... [-]",
    ),
    (
        flag("-d", "--detach", help="in the background: print its pid; its output goes to its log (see logs)"),
        takes("--best-of", value="N", kind="int", help="make N answers, with a seed each, and print the likeliest"),
        *GENERAL,
    ),
    operands="agent",
    posix=True,
    alone=True,
    notes="Standard input is read when there is no text argument, or where a text is `-`. "
    "`llmsh run AGENT --help` lists the agent's own options.",
)


def _detach(spec: AgentSpec) -> int:
    """Start it and print its pid; an input that must be read is given by a child that stays."""
    if not spec.reads:
        term.line(str(agent.start(spawn.connect(), [spec], stdout="log", detach=True)[0]))
        return 0
    if os.isatty(0):
        raise Usage("-d cannot read a terminal: give a text, or < FILE")
    spawn.connect().close()  # errors of the start are ours to report
    reader, writer = os.pipe()
    if os.fork() == 0:
        _feed(spec, writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as said:
        code, _, detail = said.read().partition(" ")
    if code != "pid":
        raise Error(code, detail)
    term.line(detail)
    return 0


def _best(spec: AgentSpec, count: int) -> Ending:
    """Make several answers; the ending of the best."""
    from llmsh.abi import unitfile
    from llmsh.lib import best

    if not 1 <= count <= best.MOST:
        raise Usage(f"--best-of: expected 1 to {best.MOST}, found {count}")
    unit = unitfile.find(spec.agent)
    if unit.kind not in best.KINDS:
        raise Usage(f"--best-of: {spec.agent} is of kind {unit.kind}: it does not give one answer")
    chosen: dict[str, Any] = {**unit.sampling, **spec.params}
    if not float(chosen.get("temperature", 0)) or chosen.get("top_k") == 1:
        raise Usage("--best-of: all answers would be equal: give a --temperature")
    first = int(chosen.get("seed", 0))
    conn = spawn.connect()
    seeds = range(first, first + count)
    return best.Best(conn, foreground.unstopped(lambda: best.start(conn, spec, seeds))).finish()


def _feed(spec: AgentSpec, writer: int) -> None:
    """In the child: hold the process's input until its end, whatever becomes of the caller."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    try:
        conn = spawn.connect()
        pids = agent.start(conn, [spec], stdout="log", detach=False, stderr="log")
        os.write(writer, f"pid {pids[0]}".encode())
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (1, 2, writer):  # a $(...) around us must end
            os.dup2(null, fd)
        leave(foreground.attend(conn, pids)[-1])
    except Error as error:
        os.write(writer, f"{error.code} {error.detail}".encode())
    finally:
        os._exit(1)


def main(argv: list[str]) -> int:
    """Run one agent; does not return unless it could not start, or with -d."""
    given = parse(COMMAND, argv)
    if not given.operands:
        raise Usage("which agent? (`llmsh agents ls` lists them)")
    detach = bool(given.options.pop("detach", 0))
    count = given.options.pop("best-of", None)
    if detach and count is not None:
        raise Usage("--best-of: an answer that is chosen cannot be in the background")
    name, *rest = given.operands
    spec = agent_spec(name, rest, given)
    if detach:
        return _detach(spec)
    if count is not None:
        return leave(_best(spec, count))
    return leave(foreground.run_agents(spawn.connect(), [spec])[-1])
