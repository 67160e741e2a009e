"""Keeps tables of rates on disk, one file a machine and model: JSON, written aside and renamed.

A file that is broken is left alone until it is written again, and costs a line of dmesg. It knows no
rate. Machine: the processor's name and which CPUs may be used; model: its size and samples of its bytes.
"""

import hashlib
import json
import os
from collections.abc import Callable

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.levels import NOTICE, WARN
from llmsh.boot import machine
from llmsh.kernel.rates import Broken, Rates, restored

FILES_MAX = 64
"""Tables that are kept; the oldest go."""
SIZE_MAX = 1 << 20
SAMPLE, SAMPLES = 1 << 16, 16
"""Bytes of one sample of a model, and how many are taken; the first is the header."""


def processor(text: str) -> str:
    """The processor's name in /proc/cpuinfo (see proc_cpuinfo(5))."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "CPU part"):
            return value.strip()
    return os.uname().machine


def _machine() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            name = processor(file.read())
    except OSError:
        name = os.uname().machine
    return f"{name} {os.cpu_count()} {list(machine.CPUS)}"


def fingerprint(path: str) -> str:
    """A model's bytes, without reading them all. Raises OSError."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(str(size).encode())
        for i in range(SAMPLES):
            file.seek(size * i // SAMPLES)
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()


class Shelf:
    """Implements kernel.tuning.Shelf under a folder. `say` takes lines for dmesg; `setting` is what else
    rates depend on, as text: the release, the cells of a core."""

    def __init__(self, folder: str, say: Callable[[str], None], setting: str = "") -> None:
        self._folder = folder
        self._say = say
        self._setting = f"{_machine()} {setting}"

    def _path(self, model: str) -> str:
        """The file of a model's table. Raises OSError, Error."""
        named = model if model.startswith("fake") else fingerprint(paths.model_file(model))
        return os.path.join(
            self._folder, hashlib.sha256(f"{self._setting} {named}".encode()).hexdigest()[:32] + ".json"
        )

    def find(self, model: str) -> Rates | None:
        """See kernel.tuning.Shelf."""
        try:
            path = self._path(model)
            with open(path, "rb") as file:
                return restored(json.loads(file.read(SIZE_MAX)))
        except FileNotFoundError:
            return None
        except (OSError, Error, Broken, ValueError, RecursionError) as exc:
            self._say(f"{NOTICE}{model}: its rates are measured anew: {exc}")
            return None

    def keep(self, model: str, rates: Rates) -> None:
        """See kernel.tuning.Shelf. What cannot be written is measured again by the next daemon."""
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            path = self._path(model)
            aside = f"{path}.new"
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                json.dump(rates.record() | {"model": model, "setting": self._setting}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
            self._tidy()
        except (OSError, Error) as exc:
            self._say(f"{WARN}{model}: its rates cannot be kept: {exc}")

    def _tidy(self) -> None:
        files = [os.path.join(self._folder, name) for name in os.listdir(self._folder)]
        for path in sorted(files, key=os.path.getmtime)[:-FILES_MAX]:
            os.unlink(path)
