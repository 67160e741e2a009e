"""The Makefile, asked what it would do; nothing of it is run."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_model_given_to_a_benchmark_is_no_file_of_makes_own() -> None:
    """MODEL= names what is measured: if a stamp had that name, make would touch the user's file."""
    words = ["make", "--dry-run", "--always-make", "bench", "bench-full", "MODEL=mine.gguf"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "python -m bench" in told
    assert "mine.gguf" not in told
