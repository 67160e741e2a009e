"""echo: write its arguments. See echo(1)."""

from llmsh.lib import term
from llmsh.lib.command import Command, flag

COMMAND = Command(
    "echo",
    "write its arguments, separated by spaces, and a new line",
    ("[-neE] [TEXT]...",),
    (
        flag("-n", help="no new line at the end"),
        flag("-e", help="\\n, \\t, \\\\, \\a, \\b, \\c, \\e, \\f, \\r, \\v, \\0NNN and \\xHH mean what they mean in C"),
        flag("-E", help="they mean nothing (as they do anyway)"),
    ),
)

_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def _digits(text: str, at: int, most: int, digits: str) -> int:
    end = at
    while end < len(text) and end - at < most and text[end] in digits:
        end += 1
    return end


def _number(text: str, at: int, base: int, most: int) -> tuple[str, int]:
    """The byte written in digits from `at` on, and where they end; no digit gives nothing."""
    end = _digits(text, at, most, "0123456789abcdefABCDEF"[: 8 if base == 8 else 22])
    if end == at:
        return ("\0", at) if base == 8 else ("\\x", at)
    return bytes([int(text[at:end], base) & 0xFF]).decode("utf-8", "surrogateescape"), end


def escaped(text: str) -> tuple[str, bool]:
    """The text with its escapes done, and whether one of them ended everything."""
    out: list[str] = []
    at = 0
    while at < len(text):
        char, follows = text[at], text[at + 1 : at + 2]
        at += 2 if char == "\\" and follows else 1
        if char != "\\" or not follows:
            out.append(char)
        elif follows == "c":
            return "".join(out), True
        elif follows in "0x":
            piece, at = _number(text, at, 8, 3) if follows == "0" else _number(text, at, 16, 2)
            out.append(piece)
        else:
            out.append(_LETTERS.get(follows, "\\" + follows))
    return "".join(out), False


def main(argv: list[str]) -> int:
    """Write; a word of options is one that holds nothing but n, e and E, as in bash."""
    options = ""
    while argv and len(argv[0]) > 1 and argv[0][0] == "-" and not argv[0][1:].strip("neE"):
        options += argv.pop(0)[1:]
    text, ended = " ".join(argv), "n" in options
    if options.rstrip("n").endswith("e") or ("e" in options and options.rfind("e") > options.rfind("E")):
        text, cut = escaped(text)
        ended = ended or cut
    term.out(text if ended else text + "\n")
    return 0
