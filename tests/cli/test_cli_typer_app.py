"""Typer's description of the command line against the commands' tables."""

import pytest
from typer.main import get_command

from llmsh.cli import typer_app
from llmsh.lib import commands
from llmsh.lib.command import Command
from tests.support.client import llmsh

TABLES: dict[str, Command] = {name: module.COMMAND for name in commands.names() if (module := commands.load(name))}


@pytest.mark.parametrize("name", TABLES)
def test_every_option_is_described(name: str) -> None:
    group = get_command(typer_app.app())
    command = group.get_command(group.make_context("llmsh", [], resilient_parsing=True), name)  # type: ignore[attr-defined]  # what get_command gives is a group
    assert command is not None
    found = {tuple(param.opts): param.help for param in command.params if param.opts[0].startswith("-")}
    assert found == {option.flags: option.help for option in TABLES[name].options}


def test_help_shows_every_command_with_its_summary() -> None:
    text = llmsh("--help").stdout
    words = " ".join(text.split())
    assert text.startswith("Usage: llmsh")
    for name, command in TABLES.items():
        assert f"{name} {command.summary}" in words
