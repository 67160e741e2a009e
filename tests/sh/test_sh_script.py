"""The shell without a terminal: scripts, standard input, errors, signals, what it loads."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import environment

LLMSH = [sys.executable, "-m", "llmsh.sh"]


def run(*args: str, stdin: bytes = b"", cwd: Path | None = None) -> tuple[str, str, int]:
    """Standard output, standard error and status."""
    done = subprocess.run(
        [*LLMSH, *args], input=stdin, cwd=cwd, env=environment(), capture_output=True, timeout=60, check=False
    )
    return done.stdout.decode(), done.stderr.decode(), done.returncode


@pytest.fixture(autouse=True)
def folders(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the user's own units and builtins."""
    monkeypatch.chdir(xdg)
    return xdg


def test_a_syntax_error_names_its_line_after_what_came_before_has_run() -> None:
    assert run("-c", "echo one\necho two\nfi\necho four") == (
        "one\ntwo\n",
        "llmsh: line 3: syntax error near 'fi': not in this version\n",
        2,
    )
    assert run("-c", "echo )") == ("", "llmsh: line 1: syntax error near ')'\n", 2)
    assert run(stdin=b"echo a\n\necho 'b\n") == ("a\n", "llmsh: line 3: quote ' is not closed\n", 2)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"echo a\nb\0c\n", "line 2: a NUL byte: this is no script"),
        (b"echo " + b"a" * (3 << 20) + b"\n", "line 1: a line of more than 1048576 bytes"),
        (b"a" * (3 << 20), "line 1: a line of more than 1048576 bytes"),
        (b"$(" * 5000, "line 1: nested more than 64 levels deep"),
        (b"{ " * 5000, "line 1: nested more than 64 levels deep"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "line 1: a NUL byte: this is no script"),
    ],
)
def test_what_is_no_script_gives_one_line(text: bytes, cause: str, tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_bytes(text)
    for out, err, status in (run(str(file)), run(stdin=text)):
        assert err == f"llmsh: {cause}\n"
        assert status == 2
        assert out in ("", "a\n")


def test_a_script_has_its_name_and_arguments(tmp_path: Path) -> None:
    (tmp_path / "s").write_text('echo "$0" $# "$2"\nexit 7\n', encoding="utf-8")
    assert run("./s", "a", "b c", cwd=tmp_path) == ("./s 2 b c\n", "", 7)
    assert run("-c", 'echo $0 "$@"', "name", "x", "y") == ("name x y\n", "", 0)
    assert run("-s", "x", "y", stdin=b"echo $0 $*\n") == ("llmsh x y\n", "", 0)
    assert run("--", "./s", cwd=tmp_path)[2] == 7


def test_a_byte_order_mark_is_no_part_of_the_first_command(tmp_path: Path) -> None:
    text = "\ufeffecho one\n\ufeffecho two\n"
    (tmp_path / "s").write_text(text, encoding="utf-8")
    (tmp_path / "shebang").write_text("\ufeff#!/usr/bin/env llmsh\necho one", encoding="utf-8")
    with (tmp_path / "s").open("rb") as file:
        seeks = subprocess.run(LLMSH, stdin=file, env=environment(), capture_output=True, timeout=60, check=False)
    assert seeks.stdout == b"one\n"
    for shown in (run("./s", cwd=tmp_path), run(stdin=text.encode()), run("-c", text)):
        assert shown == ("one\n", "llmsh: \ufeffecho: not found\n", 127)
    assert run("./shebang", cwd=tmp_path) == ("one\n", "", 0)


def test_a_script_that_cannot_be_read(tmp_path: Path) -> None:
    assert run("./none", cwd=tmp_path)[1:] == ("llmsh: ./none: no such file or directory\n", 127)
    assert run("./", cwd=tmp_path)[1:] == ("llmsh: ./: is a directory\n", 126)


def test_usage_errors() -> None:
    assert run("-c")[1:] == ("llmsh: -c: commands are needed\n", 2)
    assert run("-Z")[1:] == ("llmsh: -Z: no such option\n", 2)
    assert run("-o", "nosuch", "-c", ":")[1:] == ("llmsh: -o nosuch: no such option\n", 2)
    assert run("--help")[2] == 0


def test_commands_share_the_shells_input(tmp_path: Path) -> None:
    piped = run(stdin=b"cat\nfor the command\n", cwd=tmp_path)
    assert piped == ("for the command\n", "", 0)
    (tmp_path / "in").write_bytes(b"sed -n 1p\nfor sed\n")
    with (tmp_path / "in").open("rb") as file:
        done = subprocess.run(LLMSH, stdin=file, env=environment(), capture_output=True, timeout=60, check=True)
    assert done.stdout == b"for sed\n"


def test_interrupt_kills_a_script_whose_command_died_of_it() -> None:
    with subprocess.Popen(
        [*LLMSH, "-c", "sh -c 'echo ready; exec sleep 1000'; echo no"],
        stdout=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"ready\n"
        os.killpg(shell.pid, signal.SIGINT)
        assert shell.stdout.read() == b""
        assert shell.wait(60) == -signal.SIGINT


def test_a_script_goes_on_when_its_command_handles_the_interrupt() -> None:
    with subprocess.Popen(
        [*LLMSH, "-c", "sh -c 'trap \"exit 5\" INT; echo ready; read x'; echo $?"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"ready\n"
        os.killpg(shell.pid, signal.SIGINT)
        assert shell.stdout.read() == b"5\n"
        assert shell.wait(60) == 0


def test_background_commands_ignore_the_interrupt_and_have_no_input() -> None:
    script = "grep SigIgn /proc/self/status & wait; cat & wait; echo $?"
    out, _, status = run("-c", script, stdin=b"not for cat\n")
    mask = int(out.split()[1], 16)
    assert mask & (1 << (signal.SIGINT - 1))
    assert not mask & (1 << (signal.SIGPIPE - 1))
    assert out.endswith("\n0\n")
    assert status == 0


def test_programs_get_default_signals_and_no_descriptor_of_ours() -> None:
    out, _, _ = run("-c", "exec 3>&1; { grep SigIgn /proc/self/status; ls /proc/self/fd; } 3>&- | cat")
    assert int(out.split()[1], 16) & ~(1 << 32 - 1) == 0
    assert out.split()[2:] == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


def test_pipefail_and_options() -> None:
    assert run("-c", "yes | head -1; echo $?; set -o pipefail; yes | head -1; echo $?")[0] == "y\n0\ny\n141\n"
    assert run("-e", "-c", "false; echo no") == ("", "", 1)
    assert run("-u", "-c", "echo $nosuch; echo no") == ("", "llmsh: nosuch: not set\n", 2)
    assert run("-x", "-c", "x='a b'; echo \"$x\" y")[:2] == ("a b y\n", "+ x='a b'\n+ echo 'a b' y\n")
    assert run("-eo", "pipefail", "-c", "false | true; echo no") == ("", "", 1)


def test_what_cannot_be_written_is_an_error() -> None:
    for line in ("echo hi >/dev/full", "export -p >/dev/full", "pwd >/dev/full"):
        out, err, status = run("-c", line)
        assert (out, status) == ("", 1)
        assert err.count("\n") == 1
        assert "no space left on device" in err.lower()


def test_a_file_without_an_interpreter_is_run_by_sh(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("for x in 1 2; do echo $x; done\n", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\0\1\2")
    (tmp_path / "lost").write_text("#!/nonexistent/interpreter\n", encoding="utf-8")
    for name in ("plain", "binary", "lost"):
        (tmp_path / name).chmod(0o755)
    assert run("-c", "./plain", cwd=tmp_path) == ("1\n2\n", "", 0)
    assert run("-c", "./binary", cwd=tmp_path)[1:] == ("llmsh: ./binary: exec format error\n", 126)
    assert run("-c", "./lost", cwd=tmp_path)[1:] == ("llmsh: ./lost: its interpreter was not found\n", 127)


def test_sourced_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x=from_a\n. ./b\n", encoding="utf-8")
    (tmp_path / "b").write_text("echo in b $x\n", encoding="utf-8")
    (tmp_path / "loop").write_text(". ./loop\n", encoding="utf-8")
    (tmp_path / "bad").write_text("echo\n;\n", encoding="utf-8")
    assert run("-c", ". ./a; echo $x", cwd=tmp_path) == ("in b from_a\nfrom_a\n", "", 0)
    assert run("-c", "source ./loop; echo $?", cwd=tmp_path)[1].count("\n") == 1
    assert run("-c", ". ./bad", cwd=tmp_path)[1:] == ("llmsh: ./bad: line 2: syntax error near ';'\n", 2)


def test_names_and_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff"))).touch()
    line = b"printf '%s' f*; echo \xfe"
    done = subprocess.run([*LLMSH, "-c", line], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"f\xff\xfe\n"


def test_a_simple_command_loads_little() -> None:
    code = (
        "import sys; from llmsh.sh.main import main; s = main(['-c', 'x=1; echo $x | cat; pwd; ls /']);"
        "heavy = {'prompt_toolkit', 'asyncio', 'typer', 'click', 'msgspec', 'dataclasses', 'json', 'socket'};"
        "print(sorted(heavy & set(sys.modules)), s)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, timeout=60, check=True)
    assert done.stdout.decode().splitlines()[-1] == "[] 0"
