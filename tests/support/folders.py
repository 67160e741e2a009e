"""Folders of a test's own: configuration, data, state, runtime.

It knows the names of the variables and nothing of what is put there.
"""

from pathlib import Path

import pytest


def own(place: Path, patch: pytest.MonkeyPatch) -> Path:
    """Point everything of ours below this folder for as long as the patch lasts; the folder."""
    for name in ("config", "data", "state", "runtime"):
        folder = place / name
        folder.mkdir(mode=0o700)
        variable = "XDG_RUNTIME_DIR" if name == "runtime" else f"XDG_{name.upper()}_HOME"
        patch.setenv(variable, str(folder))
    for variable in ("LLMSH_SOCKET", "LLMSH_MODEL"):
        patch.delenv(variable, raising=False)
    return place
