"""What an engine can no longer do, tried by a process that entered its sandbox."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.enginehost import ROOT, EngineHost

_TRY = """
import sys
from llmsh.engine import sandbox
import os, resource, socket, subprocess, urllib.request
missing = sandbox.enter(sys.argv[1])
assert not missing, missing
def refused(act):
    try:
        act()
    except (PermissionError, OSError) as exc:
        return exc.errno in (1, 13)
    return False
assert refused(lambda: socket.socket())
assert refused(lambda: subprocess.run(["/bin/true"]))
assert refused(lambda: os.execv("/bin/true", ["true"]))
assert refused(lambda: open(sys.argv[2]))
assert refused(lambda: open(sys.argv[1], "r+b"))
assert refused(lambda: open("/tmp/llmsh-sandbox-test", "w"))
assert open(sys.argv[1], "rb").read() == b"model"
fd = os.open(sys.argv[1], os.O_RDONLY)
assert open(f"/proc/self/fd/{fd}", "rb").read() == b"model"
import json, decimal
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
print("held")
"""


def landlock() -> bool:
    """Whether this machine's kernel has Landlock and lets us filter calls."""
    code = "import sys; from llmsh.engine import sandbox; sys.exit(bool(sandbox.enter('/dev/null')))"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_an_engine_reads_its_model_and_does_nothing_else(tmp_path: Path) -> None:
    if not landlock():
        pytest.skip("this machine's kernel has no Landlock or no seccomp")
    model, other = tmp_path / "model", tmp_path / "other"
    model.write_bytes(b"model")
    other.write_bytes(b"secret")
    done = subprocess.run(
        [sys.executable, "-c", _TRY, str(model), str(other)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("held\n", "")


@pytest.mark.llama
def test_an_engine_yields_to_others_and_leaves_no_core_dump(engine: EngineHost) -> None:
    status = Path(f"/proc/{engine.process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    stat = Path(f"/proc/{engine.process.pid}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[16]) >= 5
    assert int(Path(f"/proc/{engine.process.pid}/oom_score_adj").read_text()) >= 300
    limits = Path(f"/proc/{engine.process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


@pytest.mark.llama
def test_an_engine_has_no_descriptor_but_its_own(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    first = engines(tiny)
    second = engines(tiny)
    open_files = []
    for each in (first, second):
        each.tokenize("whatever it loads late is loaded then")
        open_files.append(len(list(Path(f"/proc/{each.process.pid}/fd").iterdir())))
    assert open_files[0] == open_files[1]
