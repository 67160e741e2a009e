"""Completion: what could stand at the cursor, without a terminal."""

from pathlib import Path

import pytest

from llmsh.sh.complete import candidates, spot
from llmsh.sh.exec import run_list
from llmsh.sh.parser import parse
from llmsh.sh.shell import Shell


@pytest.fixture
def shell(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in a folder of its own, with one agent and one program."""
    units = xdg / "config" / "llmsh" / "agents.d"
    units.mkdir(parents=True)
    (units / "zzagent.toml").touch()
    programs = xdg / "bin"
    programs.mkdir()
    (programs / "zzprogram").touch(mode=0o755)
    (programs / "zznot").touch(mode=0o644)
    here = xdg / "here"
    (here / "zzfolder").mkdir(parents=True)
    (here / "zz file").touch()
    (here / ".zzhidden").touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("HOME", str(here))
    return Shell(run_list)


def texts(shell: Shell, line: str) -> list[str]:
    start, found = candidates(shell, line)
    return [line[:start] + item.text for item in found]


def test_the_first_word_is_a_command(shell: Shell) -> None:
    assert texts(shell, "zz") == ["zzagent", "zzprogram"]
    assert texts(shell, "x=1 zz") == ["x=1 zzagent", "x=1 zzprogram"]
    assert texts(shell, "ls | zz") == ["ls | zzagent", "ls | zzprogram"]
    assert texts(shell, "a && (zz") == ["a && (zzagent", "a && (zzprogram"]
    assert texts(shell, "nohup zza") == ["nohup zzagent"]
    assert "readonly" in texts(shell, "rea")
    assert "renice" in texts(shell, "ren")


def test_agents_after_their_words(shell: Shell) -> None:
    assert texts(shell, "agent zz") == ["agent zzagent"]
    assert texts(shell, "run zz") == ["run zzagent"]


def test_files_are_quoted_as_the_shell_reads_them(shell: Shell) -> None:
    assert texts(shell, "cat zz") == ["cat zz\\ file", "cat zzfolder/"]
    assert texts(shell, "cat zz\\ ") == ["cat zz\\ file"]
    assert texts(shell, "cat 'zz ") == ["cat zz\\ file"]
    assert texts(shell, 'cat "zz') == ["cat zz\\ file", "cat zzfolder/"]
    assert texts(shell, "cd zz") == ["cd zzfolder/"]
    assert texts(shell, "cat .z") == ["cat .zzhidden"]
    assert texts(shell, "echo >zzf") == ["echo >zzfolder/"]
    assert texts(shell, "cat ~/zzf") == ["cat ~/zzfolder/"]
    assert texts(shell, "./zzf") == ["./zzfolder/"]


def test_variables_options_and_signals(shell: Shell) -> None:
    shell.variables.set("zzname", "1")
    assert texts(shell, "echo $zz") == ["echo $zzname"]
    assert texts(shell, "echo a${zz") == ["echo a${zzname}"]
    assert texts(shell, "kill -US") == ["kill -USR1", "kill -USR2"]
    assert "ps --json" in texts(shell, "ps --js")


def test_without_a_daemon_there_are_no_pids_and_none_is_started(shell: Shell, xdg: Path) -> None:
    assert texts(shell, "wait 4") == []
    assert list((xdg / "runtime").iterdir()) == []


@pytest.mark.parametrize("line", ["", "a ", "'", '"x', "$(", "${", "a | ", "<<", ";;", "\\", "\0", "a\nb"])
def test_any_line_has_a_spot(line: str) -> None:
    here = spot(line)
    assert 0 <= here.start <= len(line)


def test_what_is_offered_is_read_back(shell: Shell) -> None:
    Path("we'ird $name*").touch()
    (line,) = texts(shell, "cat we")
    ((item,),) = parse(line)
    command = item.command.first.commands[0]
    assert shell.expander.fields(command.words) == ["cat", "we'ird $name*"]  # type: ignore[union-attr]  # it is simple
