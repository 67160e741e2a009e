"""model: files that are no models, those that are, and the store, from the command line."""

import json
import random
import struct
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.ggufbytes import DATA, STRING, TENSORS, U32, array, build, number, string, tensor, text

MODEL = build()
HOSTILE = {
    "empty": b"",
    "magic": b"GGUF",
    "half a head": MODEL[:12],
    "cut in the keys": MODEL[: len(MODEL) // 3],
    "cut in the weights": MODEL[: -DATA // 2],
    "another magic": b"GGML" + MODEL[4:],
    "no such version": build(version=99),
    "version 0": build(version=0),
    "more keys than bytes": build(counts=(2, 1 << 60)),
    "more tensors than bytes": build(counts=(1 << 60, 10)),
    "all ones": b"GGUF" + struct.pack("<I", 3) + b"\xff" * 64,
    "a string beyond the end": build({"name": text("general.name") + struct.pack("<IQ", STRING, 1 << 62)}),
    "an array beyond the end": build({"tokens": array("tokenizer.ggml.tokens", U32, 1 << 61, b"")}),
    "no such kind of value": build({"name": number("general.name", 1, kind=77)}),
    "a tensor beyond the end": build(tensors=(TENSORS[0], tensor("output.weight", (32, 2), 8, 1 << 40))),
    "a tensor of too many": build(tensors=(tensor("token_embd.weight", (1 << 62, 1 << 62), 0, 0),)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_is_no_model_is_one_line_and_stays_out(xdg: Path, what: str) -> None:
    file = xdg / "model.gguf"
    file.write_bytes(HOSTILE[what])
    done = llmsh("model", "add", str(file))
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith(f"model: {file}: ")
    assert done.stderr.count("\n") == 1
    assert not list((xdg / "data").rglob("*.gguf"))


def test_random_bytes_are_no_model(xdg: Path, rng: random.Random) -> None:
    files = []
    for at, head in enumerate((b"", b"GGUF", b"GGUF\3\0\0\0", MODEL[: rng.randrange(8, 200)])):
        files.append(xdg / f"{at}.gguf")
        files[-1].write_bytes(head + rng.randbytes(300))
    done = llmsh("model", "info", *map(str, files))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", len(files))


@pytest.fixture
def file(xdg: Path) -> Path:
    """A model's file outside the store, its name with controls in it."""
    path = xdg / "tiny.gguf"
    path.write_bytes(build({"name": string("general.name", "Ti\x1b[31mny")}))
    return path


def test_from_add_to_rm(xdg: Path, file: Path) -> None:
    record = json.loads(llmsh("model", "add", "--json", str(file), "one").stdout)
    assert set(record) >= {"name", "path", "licence", "source", "sha256", "fault", "bytes", "context", "parameters"}
    assert llmsh("model", "add", str(file)).stderr.splitlines()[-1].startswith("model: added tiny: ")
    taken = llmsh("model", "add", str(file))
    assert (taken.returncode, taken.stderr.count("\n")) == (1, 1)
    assert llmsh("model", "add", "-f", str(file)).returncode == 0
    rows = [json.loads(line) for line in llmsh("model", "ls", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == ["one", "tiny"]
    assert rows[0] == record
    head, *lines = llmsh("model", "ls").stdout.splitlines()
    assert head.split() == ["NAME", "SIZE", "FORMAT", "WEIGHTS", "CONTEXT", "LICENCE"]
    assert [line.split()[0] for line in lines] == ["one", "tiny"]
    said = dict(line.split(None, 1) for line in llmsh("model", "info", "one").stdout.splitlines())
    assert (said["name"], said["context"], said["sha256"]) == ("one", "64", record["sha256"])
    assert into_full("model", "ls") == (1, f"model: {NO_SPACE}")
    assert into_full("model", "info", "one") == (1, f"model: {NO_SPACE}")
    gone = llmsh("model", "rm", "one", "nobody", "tiny")
    assert (gone.returncode, gone.stderr) == (1, "model: nobody: no such model\n")
    assert llmsh("model", "ls", "--json").stdout == ""


def test_a_model_spoilt_in_the_store_is_listed_as_broken(xdg: Path, file: Path) -> None:
    path = Path(json.loads(llmsh("model", "add", "--json", str(file)).stdout)["path"])
    path.write_bytes(MODEL[:100])
    listed = llmsh("model", "ls")
    assert listed.stdout.splitlines()[1].split()[:3] == ["tiny", "-", "broken"]
    assert listed.stderr.startswith(f"model: {path}: ")
    assert json.loads(llmsh("model", "ls", "--json").stdout)["fault"]
    assert llmsh("model", "rm", "tiny").returncode == 0


def test_what_pull_does_not_know_is_told_what_it_knows(xdg: Path) -> None:
    done = llmsh("model", "pull", "nobody", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("model: nobody: not a model that pull knows (smollm2)")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "argv", [(), ("dance",), ("add",), ("add", "a", "b", "c"), ("pull",), ("ls", "x"), ("rm",), ("info",), ("-q", "ls")]
)
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("model", *argv)
