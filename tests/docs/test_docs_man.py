"""The manual: what is made from tables is current, every call and command has its page, every page is whole."""

import re
from pathlib import Path

import pytest

from llmsh.abi import limits, signals, syscalls
from llmsh.boot import config
from llmsh.lib import commands
from tools import man

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = man.pages()
BY_HAND = {"man1/llmsh-sh.1"}
"""The page that is kept as roff."""
ON_DISK = {str(path.relative_to(ROOT / "man")): path for path in (ROOT / "man").rglob("*.[1-8]")}


@pytest.mark.parametrize("path", PAGES)
def test_a_made_page_is_current(path: str) -> None:
    assert (ROOT / "man" / path).read_text() == PAGES[path], "run `make man`"


def test_no_page_is_left_over() -> None:
    assert set(ON_DISK) - BY_HAND == set(PAGES)


def test_every_call_and_every_command_has_a_page() -> None:
    assert {f"man2/{name}.2" for name in syscalls.TABLE} < set(PAGES)
    assert {f"man1/{name}.1" for name in commands.names()} < set(PAGES)
    assert set(man.texts("calls")) == set(syscalls.TABLE)
    assert set(man.texts("commands")) == set(man.names())
    assert set(man.texts("config")) == set(config.FIELDS)
    assert set(man.texts("agents")) == {path.stem for path in (ROOT / "agents.d").glob("*.toml")}


@pytest.mark.parametrize("path", sorted(ON_DISK))
def test_a_page_is_whole(path: str) -> None:
    lines = ON_DISK[path].read_text().splitlines()
    assert any(line.startswith(f".TH {ON_DISK[path].stem.upper()} {path[-1]}".replace("-", "\\-")) for line in lines)
    headings = [line[4:].strip('"') for line in lines if line.startswith(".SH")]
    assert headings[0] == "NAME"
    assert headings[-1] == "SEE ALSO"
    known = set(re.findall(r"\w+", "TH SH SS PP TP TQ IP RS RE EX EE nf fi br B I BR BI IR IB RB RI"))
    macros = {line[1:].split(" ")[0] for line in lines if line.startswith(".") and not line.startswith('.\\"')}
    assert macros <= known
    assert [line for line in lines if line.startswith("'")] == []


@pytest.mark.parametrize("path", sorted(ON_DISK))
def test_a_page_refers_to_pages_that_are(path: str) -> None:
    text = re.sub(r"\\f[BRI]", "", ON_DISK[path].read_text()).replace("\\-", "-")
    ours = {f"{page.stem}({name[-1]})" for name, page in ON_DISK.items()}
    elsewhere = {"signal(7)", "man(7)", "systemd.socket(5)", "bash(1)", "sh(1)", "xargs(1)"}
    assert set(re.findall(r"\b[a-z][a-z.-]*\(\d\)", text)) - ours - elsewhere == set()


def test_the_wire_page_names_all_events_and_limits() -> None:
    text = PAGES["man7/llmsh-wire.7"].replace("\\-", "-")
    for event, fields in syscalls.EVENTS.items():
        assert f'"ev":"{event}"' in text
        assert all(f'"{field}":' in text for field in fields)
    for limit in (limits.FRAME_MAX, limits.HEAD_MAX, limits.BODY_CHUNK):
        assert f" {limit} " in text or f" {limit}." in text


def test_the_overview_tells_what_each_signal_does() -> None:
    text = PAGES["man7/llmsh.7"]
    silent = {"CHLD", "TTOU"}
    assert [name for name in signals.NUMBERS if f"\\fB{name}\\fR" not in text and name not in silent] == []
