"""Makes the fastest form of a model for this machine within a bound on its perplexity.

What a form costs and gains is measured by gauge.py, judged by form.py; here is the order of things, the folder in
which forms lie until one is chosen, and what becomes of that. The original is only read. It prints nothing:
`show` is told what is done and how far it is.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from llmsh.abi import ggml, gguf, paths
from llmsh.abi.errors import Error
from llmsh.lib.models import store
from llmsh.lib.models.form import Form, judge
from llmsh.lib.models.gauge import Gauge

BITS = {"Q8_0": 8.5, "Q6_K": 6.6, "Q5_0": 5.7, "Q4_K_M": 5.0, "IQ4_NL": 4.7, "Q4_0": 4.7}
"""The types that are tried, with the bits that a weight takes, about: what room is asked for before."""
NUMBERS = {name: number for number, name in ggml.FILES.items() if name in BITS}
WINDOWS_MAX = 32
"""Windows of a text that are read: more say little more."""
ROUNDS, ROUNDS_MIN = 5, 3
LONG = 60.0
"""Seconds of rounds after which ROUNDS_MIN are enough."""
_TEXT_MAX = 4 << 20
Show = Callable[[str], None]


class Tuned(NamedTuple):
    """What was found: the model as it is first; tokens of the request whose time decided."""

    original: Form
    others: list[Form]
    chosen: Form
    request: tuple[int, int]


@contextmanager
def _workshop() -> Iterator[str]:
    """A folder beside the models, for one tuning at a time: two would measure each other. What a killed one left is
    cleared away first. Raises Error EBUSY."""
    folder = paths.models()
    work = os.path.join(folder, ".tune")
    try:
        fd = os.open(os.path.join(folder, ".tune.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                shutil.rmtree(work, ignore_errors=True)
                os.mkdir(work, 0o700)
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except BlockingIOError as exc:
        raise Error("EBUSY", f"{folder}: another llmsh is tuning a model") from exc
    except OSError as exc:
        raise Error("ENOSPC" if exc.errno == 28 else "EIO", f"{work}: {exc.strerror or exc}") from exc


def _text(path: str) -> str:
    """The text to be read: that of the file, or ours."""
    path = path or os.path.join(os.path.dirname(os.path.abspath(__file__)), "sample.txt")
    try:
        with open(path, "rb") as file:
            return file.read(_TEXT_MAX).decode("utf-8", "replace")
    except OSError as exc:
        raise Error("EIO", f"{path}: {(exc.strerror or str(exc)).lower()}") from exc


def _free(name: str, force: bool) -> str:
    """The name, if it may be given. Raises Error EINVAL, EEXIST."""
    if os.path.exists(paths.model_file(store.check_name(name))) and not force:
        raise Error("EEXIST", f"{name}: there is such a model already (--force replaces it)")
    return name


class _Tuning:
    """One run."""

    def __init__(self, model: store.Model, header: gguf.Header, gauge: Gauge, work: str, show: Show) -> None:
        self._model = model
        self._header = header
        self._gauge = gauge
        self._work = work
        self._show = show
        self.original = Form(header.file_type or "?", model.path, header.size)

    def make(self, kind: str) -> Form:
        """A form of that type."""
        self._show(f"{kind}: writing it")
        form = Form(kind)
        path = os.path.join(self._work, kind)
        try:
            store.need_room(self._work, int(self._header.parameters * BITS[kind] / 8))
            form.size = self._gauge.quantize(path, NUMBERS[kind])
            form.path = path
        except Error as exc:
            form.fault = "no room on the disk" if exc.code in ("ENOSPC", "EFBIG") else exc.detail
            self._full = exc if exc.code in ("ENOSPC", "EFBIG") else None
        return form

    _full: Error | None = None
    """What the last form was refused for, if that was the disk."""

    def forms(self, kinds: list[str]) -> list[Form]:
        """The forms of these types, but that which the model has. Raises Error when the disk takes none."""
        forms = [self.make(kind) for kind in kinds if kind != self.original.kind]
        if forms and self._full is not None and not any(form.path for form in forms):
            raise self._full
        return forms

    def read(self, form: Form, windows: int, bound: float | None) -> None:
        """How well a form knows the text; ends early when it is surely over the bound, or within it."""
        for window in range(windows):
            self._show(f"{form.kind}: perplexity, window {window + 1} of {windows}")
            form.losses += self._gauge.losses(form.path, window)
            if bound is not None and form.settled(self.original, bound):
                return

    def run(self, forms: list[Form]) -> None:
        """How fast the forms are: in turns, the first of a round another each time."""
        began = time.monotonic()
        for number in range(ROUNDS):
            if number >= ROUNDS_MIN and time.monotonic() - began > LONG:
                return
            at = number % max(1, len(forms))
            for form in forms[at:] + forms[:at]:
                self._show(f"{form.kind}: speed, round {number + 1} of {ROUNDS}")
                self._try(form, lambda form: form.times.append(self._gauge.speed(form.path)))

    def _try(self, form: Form, measure: Callable[[Form], None]) -> None:
        """Measure; what a form cannot is its fault, and what the original cannot is an error."""
        if form.fault:
            return
        try:
            measure(form)
        except Error as exc:
            if form is self.original:
                raise
            form.fault = exc.detail

    def measure(self, others: list[Form], windows: int, bound: float) -> None:
        """Everything of every form."""
        self.read(self.original, windows, None)
        for form in others:
            self._try(form, lambda form: self.read(form, windows, bound))
        self.run([self.original, *(form for form in others if not form.fault)])


def _keep(form: Form, name: str, tuned: Tuned, model: store.Model, bound: float) -> None:
    """Make a form a model of the store, with what is known of it in its record."""
    percent, error = form.delta(tuned.original)
    prompt, answer = (f"{tokens / seconds:.1f}" for tokens, seconds in zip(tuned.request, form.seconds(), strict=True))
    with store.locked() as folder:
        store.adopt(
            folder,
            name,
            form.path,
            source=f"{model.path}, written as {form.kind} by llmsh model tune",
            licence=model.licence,
            made_from=model.name,
            made_from_sha256=model.sha256 or _digest(model.path),
            type=form.kind,
            bound_percent=f"{bound:g}",
            perplexity=f"{form.perplexity(tuned.original):.4f}",
            perplexity_delta_percent=f"{percent:.3f}",
            perplexity_delta_error=f"{error:.3f}",
            prefill_tokens_per_second=prompt,
            generate_tokens_per_second=answer,
            times_as_fast=f"{form.gain(tuned.original):.3f}",
        )
    form.model = name


def _digest(path: str) -> str:
    from hashlib import file_digest

    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def tune(name: str, *, bound: float, kinds: list[str], text: str, keep: bool, force: bool, show: Show) -> Tuned:
    """Measures, and makes NAME-tuned of the chosen form unless that is the model as it is; `keep`: and NAME-TYPE of
    every other within the bound. Raises Error; what was not kept is gone."""
    model = store.look(name)
    if model.header is None:
        raise Error("ENOEXEC", model.fault)
    stem = store.name_of(model.path) if "/" in name else name.removesuffix(".gguf")
    target = _free(f"{stem}-tuned", force)
    names = {kind: f"{stem}-{kind.lower()}" for kind in kinds}
    for each in names.values() if keep else ():
        _free(each, force)
    words = _text(text)
    os.makedirs(paths.models(), 0o700, exist_ok=True)
    with _workshop() as work:
        gauge = Gauge(model.path, work, words)
        try:
            windows, *request = gauge.start()
            if windows < 1:
                raise Error("EINVAL", f"{text or 'the text'}: too short for this model: one window of it is needed")
            tuning = _Tuning(model, model.header, gauge, work, show)
            others = tuning.forms(kinds)
            tuning.measure(others, min(windows, WINDOWS_MAX), bound)
        finally:
            gauge.close()
        chosen = judge(tuning.original, others, bound)
        tuned = Tuned(tuning.original, others, chosen, (request[0], request[1]))
        if keep:
            for form in others:
                if form is not chosen and form.verdict == "slower":
                    _keep(form, names[form.kind], tuned, model, bound)
        if chosen is not tuned.original:
            _keep(chosen, target, tuned, model, bound)
    return tuned
