"""Where things lie: the same places as platformdirs finds, and none that the environment should not choose."""

import os
from pathlib import Path

import platformdirs
import pytest

from llmsh.abi import paths


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("XDG_CONFIG_HOME", None),
        ("XDG_CONFIG_HOME", "/some/where"),
        ("XDG_DATA_HOME", None),
        ("XDG_DATA_HOME", "/some/where"),
        ("XDG_STATE_HOME", None),
        ("XDG_STATE_HOME", "/some/where"),
        ("HOME", "/some/where"),
    ],
)
def test_folders_are_those_of_platformdirs(monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if value is not None:
        monkeypatch.setenv(variable, value)
    theirs = platformdirs.PlatformDirs("llmsh", appauthor=False)
    assert paths.config() == theirs.user_config_dir
    assert paths.data() == theirs.user_data_dir
    assert paths.state() == theirs.user_state_dir


def test_the_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/4711")
    assert paths.runtime() == "/run/user/4711/llmsh"
    for unusable in ("", "relative/folder"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert paths.runtime() in (f"/run/user/{os.getuid()}/llmsh", f"/tmp/llmsh-{os.getuid()}")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert os.path.isabs(paths.runtime())


def test_a_relative_folder_is_ignored_as_the_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
    assert paths.models() == "/home/ada/.local/share/llmsh/models"


def test_a_model_is_a_name_or_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.chdir(tmp_path)
    assert paths.model_file("smollm2") == "/data/llmsh/models/smollm2.gguf"
    assert paths.model_file("smollm2.gguf") == "/data/llmsh/models/smollm2.gguf"
    assert paths.model_file("./a.gguf") == str(tmp_path / "a.gguf")


def test_shipped_units_are_found_in_the_checkout() -> None:
    assert os.path.isfile(os.path.join(paths.units()[-1], "ask.toml"))


def test_the_socket_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/4711")
    monkeypatch.delenv("LLMSH_SOCKET", raising=False)
    assert paths.socket() == "/run/user/4711/llmsh/llmshd.sock"
    monkeypatch.setenv("LLMSH_SOCKET", "/elsewhere.sock")
    assert paths.socket() == "/elsewhere.sock"
