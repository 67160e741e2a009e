"""The way of a detached process's bytes: journal first, then its log; a reader sees no gap between."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmsh.abi.errors import Error
from llmsh.kernel.ledger import Committed, Ledger
from llmsh.kernel.logfile import Logs
from llmsh.kernel.proc import Process

PID = 4194304


class SlowJournal:
    """Answers barriers when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Committed] = []

    def started(self, record: dict[str, Any], committed: Committed) -> None:
        self.waiting.append(committed)

    def tokens(self, pid: int, at: int, tokens: Sequence[int]) -> None:
        pass

    def ended(self, record: dict[str, Any]) -> None:
        pass

    def forget(self) -> None:
        pass

    def barrier(self, committed: Committed) -> None:
        self.waiting.append(committed)

    def commit(self, error: Error | None = None) -> None:
        self.waiting.pop(0)(error)


def quiet(line: str) -> None:
    raise AssertionError(line)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.journal = SlowJournal()
        self.logs = Logs(str(folder), quiet)
        self.ledger = Ledger(self.journal, self.logs)
        self.process = Process(PID, 1, PID, 1, "ask")
        self.failures: list[Error] = []
        self.out = self.ledger.sink(self.process, self.failures.append)
        self.err = self.ledger.sink(self.process, self.failures.append)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_log_is_there_before_its_first_byte(rig: Rig) -> None:
    assert rig.ledger.read_log(PID, 0, 100) == (0, b"")
    with pytest.raises(Error, match="no log"):
        rig.ledger.read_log(PID + 1, 0, 100)


def test_no_byte_is_in_the_file_before_the_journal_has_its_tokens(rig: Rig) -> None:
    rig.out.write(b"abc")
    assert rig.logs.read(PID, 0, 100) == (0, b"")
    assert not rig.out.empty
    rig.journal.commit()
    assert rig.logs.read(PID, 0, 100) == (3, b"abc")
    assert rig.out.empty


@pytest.mark.parametrize("commits", range(4))
@pytest.mark.parametrize(
    ("offset", "most"), [(0, 100), (2, 100), (4, 3), (7, 9), (99, 9), (-2, 100), (-5, 2), (-99, 100)]
)
def test_a_reader_sees_what_is_on_its_way(rig: Rig, commits: int, offset: int, most: int) -> None:
    for pipe, data in ((rig.out, b"abc"), (rig.err, b"DE"), (rig.out, b"fg")):
        pipe.write(data)
    for _ in range(commits):
        rig.journal.commit()
    text = b"abcDEfg"
    at = max(0, 7 + offset) if offset < 0 else min(offset, 7)
    wanted = text[at : at + most]
    place, out = rig.ledger.read_log(PID, offset, most)
    for _ in text:  # a read may end where the file does; the next one goes on
        place, more = rig.ledger.read_log(PID, place, most - len(out))
        out += more
    assert (out, place) == (wanted, at + len(wanted))


def test_who_follows_is_woken_by_what_is_new(rig: Rig) -> None:
    seen: list[tuple[int, bytes]] = []
    rig.ledger.on_log(PID, lambda: seen.append(rig.ledger.read_log(PID, 0, 100)))
    rig.out.write(b"abc")
    rig.journal.commit()
    assert seen == [(3, b"abc")]


def test_output_that_cannot_be_journaled_is_not_shown(rig: Rig) -> None:
    rig.out.write(b"abc")
    rig.journal.commit(Error("ENOSPC"))
    assert [error.code for error in rig.failures] == ["ENOSPC"]
    assert rig.ledger.read_log(PID, 0, 100) == (0, b"")
    assert rig.out.write_closed
