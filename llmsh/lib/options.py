"""Reads a command line by a command's table. Source: POSIX utility syntax guidelines, getopt_long(3).

Clusters (-lf), values joined or apart (-n5, -n 5, --lines=5), unambiguous beginnings of long names,
`--` and `-`. It knows no command; a line that does not fit is Usage, which ends it with status 2.
"""

from math import isfinite

from llmsh.abi.light import Any, Sequence
from llmsh.lib.command import HELP, Command, Option


class Usage(Exception):
    """The command line is wrong: one line for standard error, status 2. `see` is where help is, when
    that is not the command's own --help."""

    def __init__(self, cause: str, see: str = "") -> None:
        super().__init__(cause)
        self.see = see


class Shown(Exception):
    """Help was asked for: the text for standard output, status 0."""


class Given:
    """What a command line said: options by name, operands in order."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.operands: list[str] = []

    def flag(self, name: str) -> bool:
        """Whether the option was given."""
        return name in self.options

    def text(self, name: str, default: str = "") -> str:
        """The last value of a str option."""
        return str(self.options.get(name, default))

    def number(self, name: str, default: int) -> int:
        """The last value of an int or size option."""
        return int(self.options.get(name, default))

    def real(self, name: str, default: float) -> float:
        """The last value of a num or seconds option."""
        return float(self.options.get(name, default))

    def many(self, name: str) -> list[str]:
        """All values of an option that repeats."""
        return list(self.options.get(name, ()))


_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def seconds(text: str) -> float:
    """A time such as 5, 1.5, 2m, 1h, 1d. Raises ValueError."""
    unit = _SECONDS.get(text[-1:], 0.0)
    value = float(text[:-1]) * unit if unit else float(text)
    if not 0 <= value < 1e12:
        raise ValueError(text)
    return value


def number(text: str) -> float:
    """A finite number. Raises ValueError."""
    value = float(text)
    if not isfinite(value):
        raise ValueError(text)
    return value


def size(text: str) -> int:
    """A number of bytes such as 4096, 4K, 1M. Raises ValueError."""
    unit = _SIZES.get(text[-1:].upper(), 0)
    value = int(text[:-1]) * unit if unit else int(text)
    if value < 0:
        raise ValueError(text)
    return value


def convert(option: Option, flag: str, text: str) -> Any:
    """The value of an option as its kind says. Raises Usage."""
    if option.choices and text not in option.choices:
        raise Usage(f"{flag}: {text!r} is none of {', '.join(option.choices)}")
    try:
        if option.kind == "int":
            return int(text)
        if option.kind == "num":
            return number(text)
        if option.kind == "seconds":
            return seconds(text)
        if option.kind == "size":
            return size(text)
    except ValueError:
        wanted = {"int": "a whole number", "num": "a number", "seconds": "a time", "size": "a size"}[option.kind]
        raise Usage(f"{flag}: {text!r} is not {wanted}") from None
    return text


class _Reader:
    def __init__(self, command: Command, argv: Sequence[str], *, posix: bool) -> None:
        self.command = command
        self.rest = list(argv)
        self.posix = posix
        self.given = Given()
        self.table = {name: option for option in (*command.options, HELP) for name in option.flags}

    def read(self) -> Given:
        while self.rest:
            word = self.rest.pop(0)
            if word == "--":
                self.given.operands += self.rest
                break
            if word.startswith("--"):
                self.long(word)
            elif len(word) > 1 and word[0] == "-":
                self.cluster(word)
            else:
                self.given.operands.append(word)
                if self.posix:
                    self.given.operands += self.rest
                    break
        return self.given

    def long(self, word: str) -> None:
        name, joined, value = word.partition("=")
        option = self.table.get(name)
        if option is None:
            found = [flag for flag in self.table if flag.startswith(name)]
            same = {self.table[flag] for flag in found}
            if len(same) > 1:
                raise Usage(f"{name}: ambiguous: {', '.join(sorted(found))}")
            if not found:
                raise Usage(f"{name}: unknown option")
            name, option = found[0], self.table[found[0]]
        if option.value:
            self.put(option, name, value if joined else self.next(name))
        elif joined:
            raise Usage(f"{name}: takes no value")
        else:
            self.put(option, name, None)

    def cluster(self, word: str) -> None:
        at = 1
        while at < len(word):
            name = "-" + word[at]
            option = self.table.get(name)
            if option is None:
                raise Usage(f"{name if len(word) == 2 else f'{name} (in {word})'}: unknown option")
            at += 1
            if option.value:
                self.put(option, name, word[at:] if at < len(word) else self.next(name))
                return
            self.put(option, name, None)

    def next(self, name: str) -> str:
        if not self.rest:
            raise Usage(f"{name}: needs a value")
        return self.rest.pop(0)

    def put(self, option: Option, name: str, text: str | None) -> None:
        if option is HELP:
            raise Shown(help_text(self.command))
        options = self.given.options
        if text is None:
            options[option.name] = options.pop(option.name, 0) + 1  # in the order in which each was given last
            return
        value = convert(option, name, text)
        if option.repeat:
            options.setdefault(option.name, []).append(value)
        else:
            options[option.name] = value


def parse(command: Command, argv: Sequence[str]) -> Given:
    """Read a command line. Raises Usage for one that does not fit, Shown for --help."""
    return _Reader(command, argv, posix=command.posix).read()


def bare(command: Command, argv: Sequence[str]) -> Given:
    """Read a command line without operands. Raises Usage, Shown."""
    given = parse(command, argv)
    if given.operands:
        raise Usage(f"{given.operands[0]!r}: it takes no argument")
    return given


def help_text(command: Command) -> str:
    """What --help prints."""
    heads = ["Usage:", *["      "] * len(command.usage)]
    lines = [f"{head} {command.name} {form}".rstrip() for head, form in zip(heads, command.usage, strict=False)]
    lines += ["", command.summary[:1].upper() + command.summary[1:] + "."]
    if command.notes:
        lines += ["", *wrap(command.notes, 78)]
    lines += ["", "Options:"]
    for option in (*command.options, HELP):
        left = "  " + ", ".join(option.flags)
        if option.value:
            left += f"{'=' if option.flags[-1].startswith('--') else ' '}{option.value}"
        texts = wrap(option.help, 50)
        if len(left) > 26:
            lines.append(left)
            left = ""
        lines.append(f"{left:<28}{texts[0]}")
        lines += [" " * 28 + text for text in texts[1:]]
    return "\n".join(lines) + "\n"


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at spaces."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines
