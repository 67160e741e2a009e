"""A command line to agents: `AGENT [OPTION]... [TEXT]...` becomes an AgentSpec.

After the agent's name come its own options (from its unit) and, where it has none of that name, the
general ones for sampling and limits. The unit is read only when an option is there, since that loads
msgspec; without one the kernel alone judges the unit.
"""

import os

from llmsh.abi import jsontext
from llmsh.abi.errors import Error
from llmsh.abi.light import TYPE_CHECKING, Mapping, Sequence
from llmsh.abi.limits import PIPE_MAX, PIPE_MIN
from llmsh.lib.agent import AgentSpec, Scalar
from llmsh.lib.command import Command, Option, flag, takes
from llmsh.lib.options import Given, Shown, Usage, parse

if TYPE_CHECKING:
    from llmsh.abi.unit import Unit

GENERAL: tuple[Option, ...] = (
    takes("-m", "--model", value="MODEL", help="the model, in place of the unit's", complete="model"),
    takes("-n", "--nice", value="N", kind="int", help="nice value, -20 (first) to 19 (last); default: this process's"),
    takes("--timeout", value="SECONDS", kind="seconds", help="end it with status 124 after this long; 0 for no limit"),
    takes(
        "--deadline",
        value="TIME",
        kind="seconds",
        help="it should end within this, as 30s: under the policy `deadline` refused when it cannot; 0 for none",
    ),
    takes("--value", value="N", kind="num", help="what its end is worth, under the policy `deadline`"),
    flag("--late", help="run also when the deadline cannot be met, marked `late`"),
    takes("--grace", value="SECONDS", kind="seconds", help="from TERM to KILL"),
    takes(
        "--max-tokens",
        value="N",
        kind="int",
        help="how long an answer is wanted: at most so many tokens, then it ends with status 0; 0 for no limit",
    ),
    takes(
        "--tokens",
        value="N",
        kind="int",
        help="at most so many tokens in all: an answer that this cuts is status 1; 0 for no limit",
    ),
    takes("--group-cells", value="N", kind="int", help="cells that its process group may have in the caches together"),
    takes("--oom-score-adj", value="N", kind="int", help="-1000 to 1000: who has more leaves the cells first"),
    takes("--context", value="N", kind="int", help="the longest context, in tokens; 0 for no limit but the model's"),
    takes(
        "--output-limit",
        value="BYTES",
        kind="size",
        help="at most so many bytes of output: more is status 1; 0 for no limit",
    ),
    takes("--temp", "--temperature", value="T", kind="num", help="0 always takes the likeliest token; higher is freer"),
    takes("--top-k", value="N", kind="int", help="choose among the N likeliest tokens; 0 for all"),
    takes("--top-p", value="P", kind="num", help="choose among the likeliest tokens that make up P"),
    takes("--min-p", value="P", kind="num", help="leave out tokens below P times the likeliest"),
    takes("--repeat-penalty", value="X", kind="num", help="make tokens that were used less likely; 1 is off"),
    takes("--frequency-penalty", value="X", kind="num", help="the same, by how often they were used; 0 is off"),
    takes("--presence-penalty", value="X", kind="num", help="the same, once they were used; 0 is off"),
    takes("--penalty-last", value="N", kind="int", help="how many tokens back the penalties look"),
    takes("--seed", value="N", kind="int", help="seed of the random numbers"),
    takes("--stop", value="TEXT", repeat=True, help="end the answer before this text; may be repeated"),
    takes(
        "--logit-bias",
        value="TOKEN=BIAS",
        repeat=True,
        help="make a token (a number) likelier or less likely; may be repeated",
    ),
    takes(
        "--json-schema",
        value="FILE",
        help="answer in JSON of this schema: a file, or the schema itself; not of an agent that classifies",
        complete="file",
    ),
    flag("--ignore-eos", help="go on after the end of text"),
    flag("--scores", help="of an agent that classifies: the probability of every label"),
    flag("--json", help="of an agent that classifies: a JSON record"),
    flag("--raw", help="no chat template: the text as it is"),
    flag(
        "--shift",
        help="when the context is full, forget the oldest turns; "
        "one input that is longer than the context is refused all the same",
    ),
    flag("--deterministic", help="equal text in every run, at the price of a core of its own"),
    takes("--pipe-capacity", value="BYTES", kind="size", help=f"of the pipe it writes to, {PIPE_MIN} to {PIPE_MAX}"),
)
"""Options of every agent."""

_PARAMS = {
    "timeout": "seconds",
    "grace": "grace",
    "deadline": "deadline",
    "value": "value",
    "max-tokens": "max_tokens",
    "tokens": "tokens",
    "group-cells": "group_cells",
    "oom-score-adj": "oom_score_adj",
    "context": "context",
    "output-limit": "output",
    "temperature": "temperature",
    "top-k": "top_k",
    "top-p": "top_p",
    "min-p": "min_p",
    "repeat-penalty": "repeat_penalty",
    "frequency-penalty": "frequency_penalty",
    "presence-penalty": "presence_penalty",
    "penalty-last": "penalty_last",
    "seed": "seed",
}
_FLAGS = ("ignore-eos", "scores", "json", "raw", "shift", "deterministic", "late")


def _schema(text: str) -> str:
    if text.lstrip()[:1] == "{":
        return text
    try:
        with open(text, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise Error("EINVAL", f"--json-schema: {text}: {cause}") from None


def _bias(items: Sequence[str]) -> str:
    table: dict[str, float] = {}
    for item in items:
        token, _, value = item.partition("=")
        try:
            table[str(int(token))] = float(value)
        except ValueError:
            raise Usage(f"--logit-bias: {item!r} is not TOKEN=BIAS, two numbers") from None
    return jsontext.dumps(table)


def params(given: Given) -> dict[str, Scalar]:
    """The `params` of run(2) that the general options amount to. Raises Usage, Error."""
    out: dict[str, Scalar] = {to: given.options[name] for name, to in _PARAMS.items() if name in given.options}
    out |= {name.replace("-", "_"): True for name in _FLAGS if given.flag(name)}
    if given.flag("stop"):
        out["stop"] = jsontext.dumps(given.many("stop"))
    if given.flag("logit-bias"):
        out["logit_bias"] = _bias(given.many("logit-bias"))
    if given.flag("json-schema"):
        out["schema"] = _schema(given.text("json-schema"))
    return out


def _capacity(given: Given) -> int:
    size = given.number("pipe-capacity", 0)
    if given.flag("pipe-capacity") and not PIPE_MIN <= size <= PIPE_MAX:
        raise Usage(f"--pipe-capacity: expected {PIPE_MIN} to {PIPE_MAX} bytes, found {size}")
    return size


def _own_nice() -> int:
    """Our own nice value, so that nice(1) before us means what it says."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def _unit_option(name: str, option: object) -> Option:
    kind = {"int": "int", "float": "num", "bool": "flag"}.get(getattr(option, "type", "str"), "str")
    short = getattr(option, "short", "")
    return Option(
        (f"-{short}",) * bool(short) + (f"--{name}",),
        str(getattr(option, "help", "")),
        "" if kind == "flag" else name.upper(),
        kind,
        choices=tuple(map(str, getattr(option, "choices", ()))),
    )


def command_of(unit: "Unit") -> Command:
    """The command table of an agent: its own options, then the general ones that they leave free."""
    own = tuple(_unit_option(name, option) for name, option in unit.options.items())
    taken = {spelling for option in own for spelling in option.flags}
    rest = []
    for option in GENERAL:
        free = tuple(spelling for spelling in option.flags if spelling not in taken)
        if free:
            rest.append(option._replace(flags=free))
    return Command(unit.name, unit.description, ("[OPTION]... [TEXT]... [-]",), (*own, *rest))


def _unit(name: str) -> "Unit":
    from llmsh.abi import unitfile

    return unitfile.find(name)


def _merge(first: Given, second: Given) -> Given:
    both = Given()
    both.options = {**first.options, **second.options}
    both.operands = second.operands
    return both


def agent_spec(name: str, argv: Sequence[str], before: Given | None = None) -> AgentSpec:
    """What `NAME ARGV...` runs; `before` holds general options given before the name.

    Raises Usage (with the agent's options), Shown (--help), Error ENOENT or of a broken unit.
    """
    given = Given()
    options: Mapping[str, Scalar] = {}
    if any(len(word) > 1 and word.startswith("-") for word in argv):
        unit = _unit(name)
        try:
            given = parse(command_of(unit), argv)
        except Usage as exc:
            raise Usage(f"{name}: {exc}", see=f"llmsh run {name} --help") from None
        options = {
            key: bool(value) if unit.options[key].type == "bool" else value
            for key, value in given.options.items()
            if key in unit.options
        }
        given.options = {key: value for key, value in given.options.items() if key not in unit.options}
    else:
        given.operands = list(argv)
    reads = "-" in given.operands or not given.operands
    general = _merge(before or Given(), given)
    return AgentSpec(
        agent=name,
        args=tuple(given.operands),
        options=options,
        params=params(general) | ({"tty": True} if reads and os.isatty(0) else {}),
        model=general.text("model"),
        nice=general.number("nice", _own_nice()),
        reads=reads,
        capacity=_capacity(general),
    )


def agent_command(name: str) -> Command:
    """What an agent's command line is, from its unit. Raises Error for a broken one."""
    return command_of(_unit(name))


__all__ = ["GENERAL", "Shown", "agent_command", "agent_spec", "command_of", "params"]
