"""The shape of the repository: sizes, first docstrings, names, mirrored tests, words that do not belong.

It reads files as text and runs none of them.
"""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINES_MAX = 400
LAYERS = sorted(path.name for path in (ROOT / "llmsh").iterdir() if (path / "__init__.py").is_file())


def tracked() -> list[Path]:
    """Files that git has, or would have: what is ignored is nobody's business."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


FILES = tracked()
SOURCES = [path for path in FILES if path.suffix == ".py"]
TESTS = [path for path in SOURCES if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")]


def name(path: Path) -> str:
    """The path as messages show it."""
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 50
    assert {"abi", "kernel", "engine", "lib"} <= set(LAYERS)


def test_no_file_is_too_long() -> None:
    long = {name(path): lines for path in SOURCES if (lines := len(path.read_text().splitlines())) > LINES_MAX}
    assert long == {}, f"over {LINES_MAX} lines: split by noun"


def test_every_file_says_what_it_does_first() -> None:
    silent = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        words = ast.get_docstring(tree) or ""
        if tree.body and len(words.split()) < 6:
            silent.append(name(path))
    assert silent == [], "the first docstring says what the file does and what it does not know"


def test_names_say_something() -> None:
    empty = {"util", "utils", "helper", "helpers", "manager", "managers", "base", "common", "misc"}
    said = [name(path) for path in SOURCES if empty & set(re.split(r"[_/]", name(path).removesuffix(".py").lower()))]
    classes = [
        f"{name(path)}: {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and re.search(r"(Util|Helper|Manager|Base)s?$", node.name)
    ]
    assert said + classes == []


def test_importing_the_package_loads_nothing() -> None:
    assert (ROOT / "llmsh/__init__.py").read_text().strip() == ""


def test_test_names_are_unique_and_say_their_layer() -> None:
    twice = [stem for stem, count in Counter(path.stem for path in TESTS).items() if count > 1]
    assert twice == []
    wrong = [
        name(path)
        for path in TESTS
        if len(parts := path.relative_to(ROOT / "tests").parts) > 1 and not path.name.startswith(f"test_{parts[0]}_")
    ]
    assert wrong == [], "tests/LAYER/test_LAYER_NOUN.py"


@pytest.mark.parametrize("layer", [*LAYERS, "builtins"])
def test_every_layer_has_tests(layer: str) -> None:
    assert list((ROOT / "tests" / layer).rglob(f"test_{layer}_*.py")) != []


def test_silenced_checks_have_a_reason() -> None:
    silenced = re.compile(r"#\s*(type:\s*ignore(\[[^\]]*\])?|noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?)(?P<reason>.*)$")
    bare = []
    for path in SOURCES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = silenced.search(line)
            if found and path != Path(__file__) and len(found["reason"].strip(" #-:")) < 5:
                bare.append(f"{name(path)}:{number}: {line.strip()}")
    assert bare == []


def test_tests_do_not_sleep() -> None:
    sleeping = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        if path.is_relative_to(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep")
    ]
    assert sleeping == [], "wait for what should happen, or move a false clock"


FOREIGN = {
    "a path of one machine": r"/(wor[k]|far[m]|roo[t])/",
    "a number of a tracker": r"\bissu[e] #?[0-9]+\b",
    "a neighbour of the checkout": r"\.\./share[d]",
    "an unfinished part": r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b",
    "a package host": r"\b(pypi\.or[g]|pythonhoste[d]|huggingface\.c[o])\b",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_word_that_does_not_belong(what: str) -> None:
    pattern = re.compile(FOREIGN[what])
    found = []
    for path in FILES:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name(path)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_locks_name_hashes_and_no_place() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock", "requirements-build.lock"):
        text = (ROOT / lock).read_text()
        assert "://" not in text
        assert "@ " not in text
        packages = re.split(r"\n(?=\S)", text.strip())
        assert all("==" in package and "--hash=sha256:" in package for package in packages), lock


def test_llama_cpp_is_locked_as_declared() -> None:
    pinned = re.search(r'"(llama-cpp-python==[^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert pinned is not None
    assert f"\n{pinned[1]} \\\n" in (ROOT / "requirements.lock").read_text()
