"""Chat templates: a conversation to tokens, as the model was trained to see it.

Templates come from strangers: they run in jinja2's immutable sandbox, with a limit of time, of output
and of the size of what they multiply. A message's content is not shown to the template: a placeholder
that cannot be guessed stands for it, so that only the template's own pieces can be special tokens,
and `<|im_end|>` in a document stays text. Text of the template and content that meet are tokenised
together, as they would be in one string. It knows no cache and no sequence.
"""

import json
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llmsh.abi.lease import Piece
from llmsh.engine.model import Model

SECONDS = 2.0
OUTPUT_MAX = 4 << 20
_PRODUCT_MAX = 1 << 20


class TemplateFault(Exception):  # TemplateError is jinja2's
    """The template cannot do this conversation; the text is one line."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Also refuses products and powers that would fill the memory."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """A product, power or format of bounded size."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" and not (numbers and abs(left) < 1 << 16 and abs(right) < 64):
            raise TemplateFault("its power is too large")
        if operator == "%" and not numbers:
            raise TemplateFault("it formats with %")
        if operator == "*" and not numbers:
            size = len(left) * right if isinstance(right, int) else len(right) * left
            if size > _PRODUCT_MAX:
                raise TemplateFault("its product is too large")
        return super().call_binop(context, operator, left, right)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _environment() -> _Sandbox:
    env = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda value, indent=None, **_: json.dumps(value, ensure_ascii=False, indent=indent)
    env.globals["raise_exception"] = _refuse
    env.globals["strftime_now"] = lambda form: time.strftime(str(form)[:64])
    return env


class Renderer:
    """The model's template, compiled once; without one, contents are joined by empty lines."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._error = ""
        self._template = None
        source = model.template()
        if source:
            try:
                self._template = _environment().from_string(source)
            except Exception as exc:  # noqa: BLE001  # a stranger's template can raise what it likes
                self._error = f"the model's chat template cannot be compiled: {_line(exc)}"
        # Longest first, as llama.cpp looks for them.
        special = sorted(filter(None, model.special), key=len, reverse=True)
        self._special = re.compile("(" + "|".join(map(re.escape, special)) + ")") if special else None

    def render(self, pieces: list[Piece], *, raw: bool) -> list[int]:
        """Tokens of a conversation. Raises TemplateFault."""
        if raw or (self._template is None and not self._error):
            joined = ("" if raw else "\n\n").join(piece.content for piece in pieces)
            return self._tokens([joined])
        if self._error:
            raise TemplateFault(self._error)
        return self._tokens(self._parts(pieces))

    def _parts(self, pieces: list[Piece]) -> list[str | int]:
        """Text and special tokens in turn."""
        mark = secrets.token_hex(16)
        hidden = [Piece(p.role, f"{mark}x{i}z" if p.content else "") for i, p in enumerate(pieces)]
        try:
            text = self._run(hidden)
        except TemplateFault:
            merged = _without_system(hidden)
            if merged is None:
                raise
            text = self._run(merged)
        parts: list[str | int] = []
        for i, part in enumerate(re.split(mark + r"x(\d+)z", text)):
            if i % 2:
                parts.append(pieces[int(part)].content)
            else:
                parts += self._split(part)
        return parts

    def _split(self, text: str) -> list[str | int]:
        if self._special is None:
            return [text]
        return [self._model.special[part] if i % 2 else part for i, part in enumerate(self._special.split(text))]

    def _tokens(self, parts: "list[str | int] | list[str]") -> list[int]:
        out: list[int] = []
        text = ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            out += self._model.tokenize(text) if text else []
            out.append(part)
            text = ""
        out += self._model.tokenize(text) if text else []
        if self._model.add_bos and out[:1] != [self._model.bos]:
            out.insert(0, self._model.bos)
        return out

    def _run(self, pieces: list[Piece]) -> str:
        assert self._template is not None  # render looked
        messages = [{"role": piece.role, "content": piece.content} for piece in pieces]
        names = {each: self._model.token_text(getattr(self._model, each)) for each in ("bos", "eos")}
        before = sys.gettrace()
        sys.settrace(_clock(time.monotonic() + SECONDS))
        try:
            return _joined(
                self._template.generate(
                    messages=messages, add_generation_prompt=True, bos_token=names["bos"], eos_token=names["eos"]
                )
            )
        except Exception as exc:
            raise TemplateFault(f"the model's chat template: {_line(exc)}") from exc
        finally:
            sys.settrace(before)


def _clock(deadline: float) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that ends what runs too long; loops of a template are lines of Python."""

    def look(_frame: FrameType, _event: str, _argument: Any) -> Any:
        if time.monotonic() > deadline:
            raise TemplateFault(f"it ran for more than {SECONDS:g} s")
        return look

    return look


def _joined(parts: Iterable[str]) -> str:
    out, size = [], 0
    for part in parts:
        out.append(part)
        size += len(part)
        if size > OUTPUT_MAX:
            raise TemplateFault(f"its output is longer than {OUTPUT_MAX} bytes")
    return "".join(out)


def _without_system(pieces: list[Piece]) -> list[Piece] | None:
    """Some templates refuse a system message: it goes before the first message of the user."""
    if len(pieces) < 2 or pieces[0].role != "system" or pieces[1].role != "user":
        return None
    return [Piece("user", f"{pieces[0].content}\n\n{pieces[1].content}"), *pieces[2:]]


def _line(exc: Exception) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0][:200]
