"""Where sentences end, well enough to keep the first few of an answer.

A full stop after an initial or a common abbreviation ends none. It knows European punctuation and
the ideographic full stop, and no language.
"""

import re

_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]")  # noqa: RUF001  # the ideographic marks are meant
_SHORT = re.compile(r"(?:\b[A-Z]|\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|approx|e\.g|i\.e))\.$")


def first(text: str, count: int, whole: bool = True) -> str:
    """The first `count` sentences. Not whole: the text was cut, so an unfinished last sentence goes
    too, unless it is all there is."""
    ends = [match.end() for match in _END.finditer(text) if not _SHORT.search(text[: match.end()])]
    if len(ends) >= count:
        return text[: ends[count - 1]]
    return text if whole or not ends else text[: ends[-1]]
