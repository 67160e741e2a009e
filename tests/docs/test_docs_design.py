"""docs/design.md lists every source file, with what the file says of itself."""

import re
from pathlib import Path

import pytest

from tools import design

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_list_of_files_is_current() -> None:
    assert design.PAGE.read_text() == design.page(), "run `make man`"


def test_every_source_file_is_listed() -> None:
    listed = design.PAGE.read_text()
    sources = [path for folder in ("llmsh", "builtins") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 50
    missing = [str(path) for path in sources if path.read_text().strip() and f"| `{_below(path)}` |" not in listed]
    assert missing == []


def _below(path: Path) -> Path:
    for folder in design.FOLDERS:
        if path.is_relative_to(ROOT / folder):
            return path.relative_to(ROOT / folder)
    pytest.fail(f"{path}: its folder is not in tools/design.py")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=str)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    folders = "llmsh|builtins|tools|tests|kernel|engine|programs|lib|boot|abi"
    named = set(re.findall(rf"`((?:{folders})/[a-z_/]+\.py)`", page.read_text()))
    gone = [name for name in named if not (ROOT / name).exists() and not (ROOT / "llmsh" / name).exists()]
    assert gone == []
