"""Standard modules by their C halves: what a short command needs of them, without loading the rest.

`typing`, `signal`, `socket` and `collections` bring enum, re and functools along, and a command such as
`ps` would spend more time on those than on all it does. A type checker sees the real modules; at run
time annotations need names only. It knows nothing of ours.
"""

TYPE_CHECKING = False

if TYPE_CHECKING:
    import signal
    import socket
    from collections import deque
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import FrameType, ModuleType
    from typing import Any, NamedTuple, NoReturn, Self
else:
    import _signal as signal
    import _socket as socket
    import sys
    from _collections import deque
    from _collections_abc import Callable, Iterable, Iterator, Mapping, Sequence
    from _operator import itemgetter

    Any = NoReturn = Self = FrameType = object
    ModuleType = type(sys)

    class NamedTuple(tuple):
        """typing.NamedTuple, as far as it is used: fields with defaults, methods, `_replace`, `_asdict`."""

        __slots__ = ()
        _fields = ()
        _field_defaults = None

        def __init_subclass__(cls) -> None:
            cls._fields = cls.__match_args__ = tuple(cls.__annotations__)
            cls._field_defaults = {name: cls.__dict__[name] for name in cls._fields if name in cls.__dict__}
            for at, name in enumerate(cls._fields):
                setattr(cls, name, property(itemgetter(at)))

        def __new__(cls, *args: object, **given: object) -> Self:
            """A tuple of the fields, in order, by position or by name."""
            names = cls._fields[len(args) :]
            values = {**cls._field_defaults, **given}
            wrong = [name for name in names if name not in values] or given.keys() - set(names)
            if len(args) > len(cls._fields) or wrong:
                raise TypeError(f"{cls.__name__}({', '.join(cls._fields)}): {', '.join(wrong) or 'too many values'}")
            return tuple.__new__(cls, (*args, *(values[name] for name in names)))

        def _asdict(self) -> dict[str, object]:
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **given: object) -> "NamedTuple":
            return type(self)(**{**self._asdict(), **given})

        def __repr__(self) -> str:
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"


__all__ = [
    "TYPE_CHECKING",
    "Any",
    "Callable",
    "FrameType",
    "Iterable",
    "Iterator",
    "Mapping",
    "ModuleType",
    "NamedTuple",
    "NoReturn",
    "Self",
    "Sequence",
    "deque",
    "signal",
    "socket",
]
