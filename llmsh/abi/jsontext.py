"""JSON of one frame by CPython's own C functions, without the package `json`, which loads re and enum.

A value is written as `json.dumps(value, separators=(",", ":"))` writes it and read as `json.loads` reads
it; a test compares the two. It knows no frame.
"""

from _json import encode_basestring_ascii, make_encoder, make_scanner

from llmsh.abi.light import Any

_SPACE = " \t\n\r"


def _unknown(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is no JSON")


class _Rules:
    """What the scanner asks of its decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


_encode: Any = make_encoder(None, _unknown, encode_basestring_ascii, None, ":", ",", False, False, True)
_rules: Any = _Rules
_scan: Any = make_scanner(_rules)


def dumps(value: object) -> str:
    """JSON in ASCII, no spaces. Raises TypeError for what has no JSON, RecursionError."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return "".join(_encode(value, 0))


def loads(text: str) -> Any:
    """The value of a text. Raises ValueError, RecursionError."""
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration as exc:
        raise ValueError(f"no JSON value at character {exc.value}") from None
    if end != len(text):
        raise ValueError(f"more than one JSON value: character {end}")
    return value
