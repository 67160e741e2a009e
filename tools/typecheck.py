"""Runs mypy, strict, over builtins/: files that are no package and may be named as Python's own modules are.

mypy takes a folder named builtins for Python's, and a file named time.py for the library's. So it is shown links
to them under names of their own; what it says is printed with the real paths. It knows no command.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "llmsh_builtin_"


def main() -> int:
    """The status of mypy; 0 when there is nothing to check."""
    commands = sorted((ROOT / "builtins").glob("*.py"))
    if not commands:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for path in commands:
            (Path(folder) / f"{PREFIX}{path.name}").symlink_to(path)
        names = [str(Path(folder) / f"{PREFIX}{path.name}") for path in commands]
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--cache-dir", ".mypy_cache/builtins", *names],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        print(re.sub(rf"\S*{PREFIX}", "builtins/", done.stdout), end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
