"""The llmsh program: what its first word asks for, what it loads, how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmsh.abi.version import BUILD
from llmsh.lib import commands
from tests.support.client import WORDS, environment, llmsh
from tests.support.jobcontrol import Job

HEAVY = {
    *("llama_cpp", "numpy", "textual", "prompt_toolkit", "typer", "click", "rich"),
    *("asyncio", "msgspec", "dataclasses", "subprocess", "inspect"),
}


def test_a_short_command_loads_little(xdg: Path) -> None:
    script = (
        "import sys\nfrom llmsh.cli.main import main\nsys.argv = ['llmsh', 'ps']\nstatus = main()\n"
        f"print(status, sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
    assert done.stdout.decode().splitlines()[-1] == "0 []"


@pytest.mark.parametrize("name", commands.names())
def test_no_command_loads_the_kernel_or_the_engine(name: str, xdg: Path) -> None:
    script = (
        "import sys\nfrom llmsh.lib import commands\n"
        f"assert commands.load({name!r})\n"
        "print([m for m in sys.modules if m.split('.')[:2] in (['llmsh', x] for x in ('kernel', 'engine', 'drivers',"
        " 'boot', 'programs')) or m in ('llama_cpp', 'asyncio', 'typer')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
    assert done.stdout == b"[]\n"


@pytest.mark.parametrize("name", commands.names())
def test_every_command_has_a_table_and_help(name: str) -> None:
    module = commands.load(name)
    assert module is not None
    command = module.COMMAND
    assert command.name == name
    assert command.summary[0].islower()
    assert not command.summary.endswith(".")
    assert callable(module.main)
    assert f"{name}(1)" in (module.__doc__ or "")
    flags = [spelling for option in command.options for spelling in option.flags]
    assert len(flags) == len(set(flags)), "a spelling twice"
    assert all(option.help for option in command.options)


def test_version_help_and_unknown_names(xdg: Path) -> None:
    assert llmsh("--version").stdout == f"llmsh {BUILD}\n"
    assert llmsh("--help").stdout.startswith("Usage: llmsh")
    unknown = llmsh("nonsense")
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (127, "", "llmsh: nonsense: no such command\n")
    agent = llmsh("ask", "x")
    assert agent.returncode == 127
    assert agent.stderr == "llmsh: ask: no such command (an agent: llmsh run ask)\n"
    for name in ("../ps", "ps.py", ".ps", "p s"):
        assert llmsh(name if "/" not in name else f"--{name}").returncode in (2, 127)


@pytest.mark.parametrize("name", [name for name in commands.names() if name != "echo"])
def test_a_full_disk_is_status_1_and_one_line(name: str, xdg: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*WORDS, name, "--help"], stdout=full, stderr=subprocess.PIPE, check=False, env=environment()
        )
    assert done.returncode == 1
    assert done.stderr == f"{name}: write error: No space left on device\n".encode()


def test_a_reader_that_goes_away_is_death_by_pipe_without_a_word(xdg: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*WORDS, "help"], stdout=writer, stderr=subprocess.PIPE, check=False, env=environment())
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_closed_descriptors_are_an_error_not_a_socket(xdg: Path) -> None:
    script = f"{' '.join(WORDS)} ps >&- <&-"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False, env=environment())
    assert (done.returncode, done.stderr) == (1, b"ps: write error: Bad file descriptor\n")


def test_ctrl_c_ends_a_command_without_a_word(xdg: Path) -> None:
    with Job(["timeout", "0", "cat"]) as job:
        job.type(b"x\n")
        assert job.read(b"x\r\nx\r\n") == b"x\r\nx\r\n", "what was typed, and cat"
        job.type(b"\x03")
        assert job.next() == f"ended {-signal.SIGINT:d}"


def test_a_command_of_the_user_is_found_and_one_that_others_may_write_is_not(xdg: Path) -> None:
    folder = xdg / "config" / "llmsh" / "builtins"
    folder.mkdir(parents=True)
    mine = folder / "hello.py"
    mine.write_text('"""hello."""\n\n\ndef main(argv):\n    print("hello", *argv)\n    return 3\n')
    done = llmsh("hello", "you")
    assert (done.returncode, done.stdout) == (3, "hello you\n")
    mine.chmod(0o666)
    done = llmsh("hello")
    assert (done.returncode, done.stderr.count("\n")) == (126, 1)
    (folder / "ps.py").write_text("raise SystemExit(9)\n")
    assert llmsh("ps").returncode == 0, "it adds, it does not replace"


def test_a_bug_is_one_line_and_a_trace_only_if_asked_for(xdg: Path) -> None:
    folder = xdg / "config" / "llmsh" / "builtins"
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text("def main(argv):\n    return {}[argv[0]]\n")
    done = llmsh("broken", "x")
    assert (done.returncode, done.stderr.count("\n")) == (70, 1)
    assert "Traceback" in llmsh("broken", "x", LLMSH_DEBUG="1").stderr
