"""`llmsh run` as a process with real pipes, over the real daemon: what input of every kind comes to.

The model is tiny and its text has no meaning: exit statuses, lines, notes and memory are looked at.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_e2e_process import sound
from tests.support.client import WORDS, environment, llmsh
from tests.support.daemon import Daemon, Wire

pytestmark = pytest.mark.usefixtures("daemon")

SCHEMA = '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}'
BY_LINE = '[options.lines]\nhelp = "by line"\ntype = "bool"\ndefault = false\n'
UNITS = {
    "say": 'kind = "prompt"\n',
    "each": 'kind = "filter"\n',
    "sort": f'kind = "classify"\nlabels = ["good", "bad"]\n{BY_LINE}',
    "find": f"kind = \"extract\"\nschema = '{SCHEMA}'\n",
    "talk": 'kind = "chat"\n',
}
NOTE = "input is not all UTF-8 text: what is not is read as U+FFFD\n"
BYTES = (b"", b"\n \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbfa b\n", b"a\r\nb\r\n", b"a\0b\n", b"a\xffb\xc3", b"plain")
ENDLESS = ("--ignore-eos", "--temp", "0", "--max-tokens", "0")


@pytest.fixture(autouse=True)
def units(xdg: Path) -> None:
    """One unit of each kind, the user's own."""
    folder = xdg / "config" / "llmsh" / "agents.d"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in UNITS.items():
        (folder / f"{name}.toml").write_text(f'description = "for tests"\n{text}')


def run(*argv: str, stdin: str | bytes = b"") -> tuple[int, str, str]:
    """Exit status, output, notes; answers are short."""
    done = llmsh("run", "--ignore-eos", "--temp", "0", "--max-tokens", "4", *argv, stdin=stdin)
    return done.returncode, done.stdout, done.stderr


def shell(script: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A script of bash; `run` in it is `llmsh run`."""
    script = f'run() {{ {" ".join(WORDS)} run "$@"; }}\n{script}'
    words = ["bash", "-c", script]
    return subprocess.run(words, input=stdin, capture_output=True, env=environment(), timeout=120, check=False)


def gone(agent: str) -> bool:
    """Whether no process of this agent is left."""
    return llmsh("pgrep", "-x", agent).returncode == 1


@pytest.mark.parametrize("data", BYTES)
def test_any_bytes_have_a_defined_result(data: bytes) -> None:
    text = data.decode(errors="replace").lstrip("\ufeff").strip()
    note = NOTE if "\0" in text or "\ufffd" in text else ""
    for agent, limit in (("say", "4"), ("sort", "4"), ("find", "0")):
        status, out, err = run("--max-tokens", limit, agent, stdin=data)
        if not text:
            assert (status, out, err) == (1, "", f"{agent}: no input\n")
        else:
            assert (status, err) == (0, note and f"{agent}: {note}")
            assert out.endswith("\n")
    status, out, err = run("each", stdin=data)
    assert (status, err) == (0, note and f"each: {note}")
    assert out.count("\n") == data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))


_PEAK = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(child.pid, 0)
os.write(2, b"%d\\n" % used.ru_maxrss)
os._exit(os.waitstatus_to_exitcode(status))
"""


def test_a_stream_that_must_be_one_part_fails_early_in_bounded_memory(daemon: Daemon) -> None:
    """64 MB of it; neither side keeps them, and the writer hears of it by SIGPIPE."""
    run("say", "warm")
    before = resident(daemon.pid)
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _PEAK, *WORDS, "run", "ask"],
        stdin=reader,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as client:
        os.close(reader)
        taken = fed(writer, b"word " * 13_107, 1024)
        assert client.stdout is not None
        assert client.stderr is not None
        out, err = client.stdout.read(), client.stderr.read()
    # The launcher, which is small, tells the client's peak: ours would be counted in it otherwise.
    *told, peak = err.splitlines(keepends=True)
    err = b"".join(told)
    assert (client.returncode, out) == (1, b"")
    assert re.fullmatch(rb"ask: input of over \d+ tokens: the context holds 2048\n", err), err
    assert taken < 2 << 20
    assert resident(daemon.pid) - before < 32 << 20
    assert int(peak) < 100 << 10
    assert gone("ask")


def fed(writer: int, data: bytes, times: int) -> int:
    """Bytes that somebody took of so many before the reader went away."""
    taken = 0
    try:
        for _ in range(times):
            taken += os.write(writer, data)
    except BrokenPipeError:
        pass
    os.close(writer)
    return taken


def resident(pid: int) -> int:
    """Bytes of memory of a process of the machine."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_a_filter_answers_a_line_before_the_next_one_comes() -> None:
    words = [*WORDS, "run", "--ignore-eos", "--max-tokens", "3", "each"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for line in (b"one\n", b"\n", b"three\n"):
            client.stdin.write(line)
            client.stdin.flush()
            assert client.stdout.readline().endswith(b"\n")
        client.stdin.close()
        assert client.stdout.read() == b""
        assert client.wait() == 0


def test_a_filter_keeps_up_with_many_lines() -> None:
    done = shell("seq 30 | run --max-tokens 2 each | wc -l")
    assert (done.stdout.strip(), done.stderr) == (b"30", b"")


def test_head_ends_the_agent_by_pipe() -> None:
    done = shell(f"run {' '.join(ENDLESS)} say go | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == (b"141\n", b"")
    assert gone("say")
    done = shell("yes word | run --max-tokens 2 each | head -n 1 | wc -l; echo ${PIPESTATUS[1]}")
    assert (done.stdout, done.stderr) == (b"1\n141\n", b"")
    assert gone("each")


def test_dashes_mean_what_they_mean_everywhere() -> None:
    same = run("say", "in")
    assert run("say", "-", stdin="in") == same
    assert run("say", "--", "in") == same
    both = run("say", "before\n\nin")
    assert run("say", "before", "-", stdin="in") == both
    assert run("say", "before", "--", "-", stdin="in") == both
    option = run("say", "--", "--max-tokens")
    assert option[0] == 0
    assert run("say", "x", "--nothing")[0] == 2


def test_notes_are_on_standard_error_and_data_alone_on_standard_output() -> None:
    status, out, err = run("sort", "--lines", stdin=b"a\xff\n" + b"x" * 70_000 + b"\n\nb\n")
    assert status == 1
    assert set(out.split("\n")) <= {"good", "bad", ""}
    assert out.count("\n") == 4
    assert sorted(err.splitlines(keepends=True)) == [f"sort: {NOTE}", "sort: line 2 is longer than 65536 bytes\n"]
    scores = run("sort", "--scores", "x")[1].rstrip("\n").split("\t")
    assert sum(map(float, scores[1::2])) == pytest.approx(1, abs=1e-4)
    record = json.loads(run("sort", "--json", "x")[1])
    assert record["label"] == max(record["scores"], key=record["scores"].get)


def test_a_loop_keeps_its_list() -> None:
    done = shell('while read f; do run --max-tokens 2 say "$f" >/dev/null; echo "$f"; done', b"one\ntwo\nthree\n")
    assert (done.stdout, done.stderr) == (b"one\ntwo\nthree\n", b"")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_the_exit_status_tells_the_signal(number: signal.Signals) -> None:
    words = [*WORDS, "run", *ENDLESS, "say", "go"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as client:
        assert client.stdout is not None
        assert client.stdout.read(1)
        client.send_signal(number)
        client.communicate()
    assert client.returncode == -number
    assert gone("say")


def test_the_status_of_one_that_is_killed_from_elsewhere() -> None:
    words = [*WORDS, "run", *ENDLESS, "say", "go"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as client:
        assert client.stdout is not None
        assert client.stdout.read(1)
        assert llmsh("pkill", "-KILL", "-x", "say").returncode == 0
        client.communicate()
    assert client.returncode == -signal.SIGKILL


def test_limits() -> None:
    assert llmsh("run", *ENDLESS, "--timeout", "0.3", "say", "go").returncode == 124
    one, two = (len(llmsh("run", "--ignore-eos", "--temp", "0", "--max-tokens", n, "say", "x").stdout) for n in "15")
    assert 0 < one < two
    done = llmsh("run", "--ignore-eos", "--temp", "0", "--output-limit", "10", "say", "go")
    assert done.returncode != 0
    assert len(done.stdout) <= 10
    assert done.stderr.count("\n") == 1
    status, out, err = run("--context", "64", "say", "word " * 200)
    assert (status, out) == (1, "")
    assert re.fullmatch(r"say: input of \d+ tokens: the context holds 64\n", err), err


def test_an_answer_that_meets_the_end_of_the_context_is_status_1_with_both_numbers() -> None:
    done = llmsh("run", *ENDLESS, "--context", "64", "say", "go")
    assert done.returncode == 1
    found = re.fullmatch(
        r"say: answer cut: (\d+) tokens of input and (\d+) of answer fill the context of 64\n", done.stderr
    )
    assert found, done.stderr
    assert int(found[1]) + int(found[2]) == 64


def test_a_document_is_of_its_schema_or_nothing() -> None:
    done = llmsh("run", "--temp", "0", "find", "x")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout)["ok"], bool)
    cut = run("--max-tokens", "1", "find", "x")
    assert (cut[0], cut[1]) == (1, "")
    assert cut[2].startswith("find: answer cut after ")


def test_an_unsupported_keyword_of_a_schema_is_refused_with_its_path(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}')
    for given in (str(schema), schema.read_text()):
        status, out, err = run("--json-schema", given, "find", "x")
        assert (status, out) == (126, "")
        assert err == "find: schema: /properties/a/pattern: keyword is not supported\n"


@pytest.mark.parametrize("agent", ["say", "each", "talk"])
def test_every_agent_that_writes_is_held_to_a_schema(agent: str) -> None:
    schema = '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}'
    status, out, err = run("--max-tokens", "0", "--json-schema", schema, agent, "x")
    assert (status, err) == (0, "")
    assert isinstance(json.loads(out)["ok"], bool)
    for broken, cause in (("{", "/: not JSON"), ('{"pattern": "x"}', "/pattern: keyword is not supported")):
        status, out, err = run("--json-schema", broken, agent, "x")
        assert (status, out) == (126, "")
        assert err.startswith(f"{agent}: schema: {cause}")
        assert err.count("\n") == 1


def test_what_an_agent_cannot_do_is_refused_in_one_line() -> None:
    for argv, said in (
        (
            ("--json-schema", "{}", "sort", "x"),
            "run: schema: expected an agent that writes: sort is of kind",
        ),
        (("--scores", "say", "x"), "run: scores: expected an agent that classifies: say is of kind prompt\n"),
        (("--nice", "99", "say", "x"), "run: nice must be from "),
    ):
        status, out, err = run(*argv)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(said)
    status, out, err = run("--logit-bias", "99999=1", "say", "x")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("say: logit_bias: token 99999: expected 0 to ")


def test_agents_in_a_pipe_with_programs(tmp_path: Path) -> None:
    file = tmp_path / "in"
    file.write_text("one\ntwo\n")
    done = shell(
        f"run --ignore-eos --max-tokens 3 each < {file} | tr -d '\\0' | run sort --lines | sort | uniq | wc -l"
    )
    assert done.stderr == b""
    assert done.stdout.strip() in (b"1", b"2")


def test_a_chat_outgrows_its_context_or_forgets() -> None:
    lines = b"tell me more\n" * 20
    status, out, err = run("--context", "200", "talk", stdin=lines)
    assert (status, 0 < out.count("\n") < 20) == (1, True)
    assert re.fullmatch(r"talk: (input of \d+ tokens, context of 200|answer cut: .* context of 200)\n", err), err
    status, out, err = run("--context", "200", "--shift", "talk", stdin=lines)
    assert (status, err, out.count("\n")) == (0, "", 20)


def test_nothing_is_left_of_it() -> None:
    shell("run each </dev/null; echo x | run say | true; run nobody; run --context 64 say long")
    sound(Wire())
