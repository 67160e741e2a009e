"""Agents from command lines, and how several are started as one pipeline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.limits import ENV_KEPT
from llmsh.lib import start
from llmsh.lib.options import Shown, Usage
from llmsh.lib.start import agent_spec
from tests.support.client import environment
from tests.support.wireserver import WireServer

PIPELINE = """
import json, sys
from llmsh.lib import agent, conn, foreground
from llmsh.lib.leave import leave
specs = [agent.AgentSpec(**spec) for spec in json.loads(sys.argv[1])]
leave(foreground.run_agents(conn.dial(), specs)[-1])
"""

UNIT = """
kind = "prompt"
description = "translates"
[options.language]
short = "l"
help = "into which language"
default = "fr"
[options.count]
type = "int"
help = "how many"
default = 1
[options.polite]
type = "bool"
help = "politely"
default = false
[options.raw]
help = "hides the general one"
"""


@pytest.fixture
def unit(xdg: Path) -> Path:
    """A unit of the user's, with options of its own."""
    folder = Path(paths.config()) / "agents.d"
    folder.mkdir(parents=True)
    file = folder / "tr.toml"
    file.write_text(UNIT)
    file.chmod(0o600)
    return file


def begin(specs: list[dict[str, object]]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", PIPELINE, json.dumps(specs)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(LLMSH_MODEL="m", SECRET="s"),
    )


def test_a_pipeline_is_joined_in_the_kernel_and_is_one_group(server: WireServer) -> None:
    client = begin([{"agent": "a", "capacity": 512}, {"agent": "b"}, {"agent": "c", "nice": 3}])
    pipe = server.expect("pipe")
    assert pipe.args == {"capacity": 512, "shared": False}
    pipe.ok(id=1, capacity=512)
    first = server.begin(pid=100, agent="a", stdin="client", stdout="pipe:1", pgid=0)
    assert set(first.args["env"]) <= set(ENV_KEPT), "the rest of the environment is nobody's business"
    assert first.args["env"]["LLMSH_MODEL"] == "m"
    server.expect("pipe").ok(id=2, capacity=4096)
    server.begin(pid=101, agent="b", stdin="pipe:1", stdout="pipe:2", pgid=100)
    last = server.begin(pid=102, agent="c", stdin="pipe:2", stdout="client", pgid=100, nice=3)
    last.link.event("out", b"out", pid=102, fd=1)
    last.link.event("out", b"note", pid=100, fd=2)
    assert [server.expect("ack").args["pid"] for _ in range(2)] == [102, 100]
    for pid, status in ((100, 9), (101, 8), (102, 7)):
        last.link.event("exit", pid=pid, status=status, signal=0, reason="")
    assert client.communicate() == (b"out", b"note")
    assert client.returncode == 7, "the status is the last one's"


def test_who_writes_to_an_agent_that_does_not_read_writes_to_a_closed_pipe(server: WireServer) -> None:
    client = begin([{"agent": "a"}, {"agent": "b", "args": ["text"], "reads": False}])
    server.begin(pid=100, stdout="client")
    last = server.begin(pid=101, stdin="null", stdout="client")
    assert server.expect("close").args == {"pid": 100, "fd": 1}
    last.link.event("exit", pid=100, status=141, signal=13, reason="")
    last.link.event("exit", pid=101, status=0, signal=0, reason="")
    client.communicate()
    assert client.returncode == 0


def test_a_pipeline_that_cannot_start_is_ended(server: WireServer) -> None:
    client = begin([{"agent": "a"}, {"agent": "nobody"}])
    server.expect("pipe").ok(id=1, capacity=4096)
    server.begin(pid=100)
    server.expect("run").fail("ENOENT", "nobody: no such agent")
    assert server.expect("kill").args == {"pid": -100, "sig": 1}
    client.communicate()
    assert client.returncode == 1


def test_own_options_come_first_general_ones_where_they_are_free(unit: Path) -> None:
    spec = agent_spec("tr", ["-l", "de", "--count=3", "--polite", "--temp", "0.5", "--raw", "x", "Hello", "you"])
    assert spec.options == {"language": "de", "count": 3, "polite": True, "raw": "x"}
    assert spec.params == {"temperature": 0.5}
    assert (spec.args, spec.reads) == (("Hello", "you"), False)


def test_text_that_looks_like_an_option_comes_after_two_dashes(unit: Path) -> None:
    assert agent_spec("tr", ["--", "-l"]).args == ("-l",)
    assert agent_spec("tr", ["Mend:", "-"]).reads
    assert agent_spec("tr", []).reads
    for argv, cause in (
        (["-z"], "tr: -z: unknown option"),
        (["--count", "x"], "tr: --count: 'x' is not a whole number"),
    ):
        with pytest.raises(Usage) as caught:
            agent_spec("tr", argv)
        assert (str(caught.value), caught.value.see) == (cause, "llmsh run tr --help")


def test_help_of_an_agent_shows_both_kinds_of_options(unit: Path) -> None:
    with pytest.raises(Shown) as caught:
        agent_spec("tr", ["--help"])
    text = str(caught.value)
    assert "-l, --language=LANGUAGE" in text
    assert text.count("--raw") == 1
    assert "--seed=N" in text


def test_a_broken_unit_is_an_error_when_it_is_read(unit: Path) -> None:
    unit.write_text("kind = 3\n")
    with pytest.raises(Error) as caught:
        agent_spec("tr", ["-l", "de"])
    assert caught.value.code == "ENOEXEC"
    with pytest.raises(Error, match="nobody"):
        agent_spec("nobody", ["-x"])


def test_parameters_reach_the_call_by_their_names(xdg: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    line = (
        "--timeout 2m --max-tokens 5 --tokens 9 --context 100 --output-limit 4K --temp 0 --top-k 3 --top-p .5"
        " --min-p .1 --repeat-penalty 1.1 --frequency-penalty .2 --presence-penalty .3 --penalty-last 8 --seed 4"
        f" --stop a --stop b --logit-bias 5=-1 --json-schema {schema} --ignore-eos --raw --shift --deterministic"
        " --grace 1 --scores --json --pipe-capacity 1K --nice 3 --model m"
    )
    spec = agent_spec("ask", line.split())
    assert spec.params == {
        "seconds": 120.0,
        "max_tokens": 5,
        "tokens": 9,
        "context": 100,
        "output": 4096,
        "temperature": 0.0,
        "top_k": 3,
        "top_p": 0.5,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "frequency_penalty": 0.2,
        "presence_penalty": 0.3,
        "penalty_last": 8,
        "seed": 4,
        "stop": '["a","b"]',
        "logit_bias": '{"5":-1.0}',
        "schema": '{"type": "object"}',
        **dict.fromkeys(("ignore_eos", "raw", "shift", "deterministic", "scores", "json"), True),
        "grace": 1.0,
    }
    assert (spec.capacity, spec.nice, spec.model) == (1024, 3, "m")


def test_every_general_option_has_its_name_once() -> None:
    flags = [spelling for option in start.GENERAL for spelling in option.flags]
    assert len(flags) == len(set(flags))
