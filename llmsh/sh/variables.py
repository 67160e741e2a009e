"""The shell's variables: values, export, readonly. It knows no expansion and no special parameter.

What is exported is kept in os.environ too, where commands that run in this process look.
"""

import os

from llmsh.sh.errors import ShellError
from llmsh.sh.word import is_name


class Variables:
    """Names and values; begins as a copy of the environment."""

    def __init__(self) -> None:
        source = dict(os.environ)
        self._values = {name: value for name, value in source.items() if is_name(name)}
        self._exported = set(self._values)
        self._readonly: set[str] = set()
        self._foreign = {name: value for name, value in source.items() if not is_name(name)}

    def get(self, name: str) -> str | None:
        """The value, or None when it is not set."""
        return self._values.get(name)

    def set(self, name: str, value: str) -> None:
        """Assign. Raises ShellError for a readonly variable."""
        if name in self._readonly:
            raise ShellError(f"{name}: is read-only")
        self._values[name] = value
        if name in self._exported:
            os.environ[name] = value

    def unset(self, name: str) -> None:
        """Forget a variable; one that is not set is no error."""
        if name in self._readonly:
            raise ShellError(f"{name}: is read-only")
        self._values.pop(name, None)
        self.export(name, on=False)

    def export(self, name: str, *, on: bool = True) -> None:
        """Put a variable, set or not yet, into the environment of commands, or take it out."""
        if not on:
            self._exported.discard(name)
            os.environ.pop(name, None)
            return
        self._exported.add(name)
        if name in self._values:
            os.environ[name] = self._values[name]

    def readonly(self, name: str) -> None:
        """Refuse every later assignment."""
        self._readonly.add(name)

    def names(self) -> list[str]:
        """All names that have a value, sorted."""
        return sorted(self._values)

    def exported(self) -> list[str]:
        """All exported names, sorted."""
        return sorted(self._exported)

    def read_only(self) -> list[str]:
        """All read-only names, sorted."""
        return sorted(self._readonly)

    def environment(self) -> dict[str, str]:
        """What a command gets."""
        out = dict(self._foreign)
        out.update((name, self._values[name]) for name in self._exported if name in self._values)
        return out

    def save(self, names: list[str]) -> dict[str, tuple[str | None, bool]]:
        """What some variables are now, for `restore`."""
        return {name: (self._values.get(name), name in self._exported) for name in names}

    def restore(self, saved: dict[str, tuple[str | None, bool]]) -> None:
        """Undo the assignments before one command."""
        for name, (value, exported) in saved.items():
            if value is None:
                self._values.pop(name, None)
            else:
                self._values[name] = value
            self.export(name, on=exported and value is not None)
            if exported:
                self._exported.add(name)
