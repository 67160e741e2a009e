"""The measuring parts of the engine on the tiny model: losses, speeds, other forms of a file."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from llmsh.abi import gguf, lease
from llmsh.abi.errors import Error
from llmsh.engine import perplexity, speed
from llmsh.engine.model import Model
from llmsh.engine.quantize import quantize
from tests.support.enginehost import ROOT, EngineHost

pytestmark = pytest.mark.llama
TEXT = "All happy families are alike; each unhappy family is unhappy in its own way. " * 20


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return Model(str(tiny))


def test_losses_are_what_the_engine_scores(model: Model, engine: EngineHost) -> None:
    tokens = model.tokenize(TEXT)
    losses = perplexity.losses(model, tokens, 1)
    assert len(losses) == 255
    read = tokens[512:1024]
    engine.post(lease.Open(1, 0), lease.Feed(1, 0, read[:257]))
    score = engine.done(lambda op: lease.Score(1, [read[257:]], op)).scores[0]
    assert -sum(losses) == pytest.approx(score, rel=1e-3)


def test_beyond_the_last_whole_window_there_is_nothing(model: Model) -> None:
    tokens = model.tokenize(TEXT)
    with pytest.raises(Error, match="no window 2 "):
        perplexity.losses(model, tokens[:1030], 2)


def test_a_request_takes_time(model: Model) -> None:
    prompt, answer = speed.request(model, model.tokenize("Hello."))
    assert prompt > 0
    assert answer > 0


def test_another_form_is_a_whole_model(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "form"
    fd = os.open(tiny, os.O_RDONLY)
    size = quantize(fd, str(target), 7)
    os.close(fd)
    header = gguf.inspect(str(target))
    assert (header.file_type, header.size) == ("Q8_0", size)
    assert size < tiny.stat().st_size
    Model(str(target)).close()


def test_a_disk_that_is_full_is_told_from_a_model_that_cannot_be_written(tiny: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from llmsh.engine import binding\n"
        "from llmsh.engine.quantize import quantize\n"
        "from llmsh.abi.errors import Error\n"
        "binding.start()\n"
        "try:\n    quantize(os.open(sys.argv[1], os.O_RDONLY), sys.argv[2], 7)\n"
        "except Error as exc:\n    print(exc.code)\n"
    )
    target = tmp_path / "form"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny), str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        check=False,
    )
    assert done.stdout == "EFBIG\n", done.stderr
    assert not target.exists()
