"""The journal's database: opened, migrated, written in batches, read at the next start.

It knows no thread and no queue. Source: sqlite.org/wal.html, sqlite.org/pragma.html.
"""

import json
import os
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Mapping
from contextlib import closing
from errno import ENOSPC
from importlib.resources import files
from typing import Any, NamedTuple

from llmsh.abi.errors import Error
from llmsh.abi.limits import STATUSES_KEPT
from llmsh.kernel.mounts import on_network

SCHEMA = 1
APPLICATION = 0x6C6C6D73
"""`llms`: what the file says it is (PRAGMA application_id)."""
MIGRATIONS: Mapping[int, str] = {}
"""From each older number, the SQL that leads to the next."""
PRUNE_SLACK = 64
LOST_STATUS, LOST_SIGNAL, LOST_REASON = 137, 9, "lost: the daemon ended without it"


class Started(NamedTuple):
    """A process was accepted."""

    record: dict[str, Any]


class Tokens(NamedTuple):
    """Tokens were appended at a position of its log."""

    pid: int
    at: int
    tokens: "array[int]"


class Ended(NamedTuple):
    """A process has ended: pid, status, signal, reason, ended."""

    record: dict[str, Any]


class Purge(NamedTuple):
    """Processes that have ended are to be forgotten."""


Record = Started | Tokens | Ended | Purge


class Recovered(NamedTuple):
    """What the last daemon left."""

    last_pid: int
    statuses: dict[int, dict[str, Any]]
    """Of the last STATUSES_KEPT processes, oldest first: pid, status, signal, reason, agent, ended."""
    lost: list[dict[str, Any]]
    """The records of those that were running; they have a status now, too."""


def as_error(exc: sqlite3.Error) -> Error:
    """A database error as one of ours: ENOSPC where the disk is full."""
    name = getattr(exc, "sqlite_errorname", "")
    if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"):
        return Error("ENOSPC", "journal: no space left on device")
    return Error("EIO", f"journal: {exc}")


class Store:
    """One database file. Raises Error EVERSION for a newer schema, EIO for a damaged file."""

    def __init__(self, path: str, *, schema: int = SCHEMA, migrations: Mapping[int, str] = MIGRATIONS) -> None:
        self.path = path
        self._schema = schema
        self._migrations = migrations
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as exc:
            raise Error("ENOSPC" if exc.errno == ENOSPC else "EIO", f"{path}: {exc.strerror}") from exc
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except sqlite3.Error as exc:
            self._db.close()
            damaged = getattr(exc, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT")
            advice = ": move it away to start without it" if damaged else ""
            raise Error(as_error(exc).code, f"{path}: {exc}{advice}") from exc

    def _open(self) -> None:
        run = self._db.execute
        # One process uses the file (the daemon's lock): no shared memory, which a full disk would tear.
        run("PRAGMA locking_mode = EXCLUSIVE")
        number = run("PRAGMA user_version").fetchone()[0]
        if number > self._schema:
            self._db.close()
            raise Error("EVERSION", f"{self.path}: schema {number}, this llmshd knows up to {self._schema}")
        run(f"PRAGMA journal_mode = {'DELETE' if on_network(self.path) else 'WAL'}")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA journal_size_limit = 4194304")
        if not number:
            self._create()
        while 0 < number < self._schema:
            number = self._migrate(number)

    def _create(self) -> None:
        sql = files("llmsh.kernel").joinpath("schema.sql").read_text(encoding="utf-8")
        marks = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {self._schema};"
        self._db.executescript(f"BEGIN IMMEDIATE; {sql} {marks} COMMIT")

    def _migrate(self, number: int) -> int:
        """One number up; the file as it was stays beside it."""
        copy = f"{self.path}.v{number}"
        with closing(sqlite3.connect(copy + ".tmp")) as target:
            self._db.backup(target)
        os.chmod(copy + ".tmp", 0o600)
        os.rename(copy + ".tmp", copy)
        self._db.executescript(
            f"BEGIN IMMEDIATE; {self._migrations[number]}; PRAGMA user_version = {number + 1}; COMMIT"
        )
        return number + 1

    # Writing.

    def write(self, records: Iterable[Record]) -> None:
        """All of them in one transaction, or Error and none."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._put(records)
            self._db.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise as_error(exc) from exc

    def _put(self, records: Iterable[Record]) -> None:
        runs: dict[int, list[Tokens]] = {}
        for record in records:
            match record:
                case Tokens():
                    runs.setdefault(record.pid, []).append(record)
                case Started():
                    self._started(record.record)
                case Ended():
                    runs.pop(record.record["pid"], None)
                    self._ended(record.record)
                case Purge():
                    self._db.execute("DELETE FROM process WHERE ended IS NOT NULL")
        for parts in runs.values():
            self._tokens(parts)

    def _started(self, record: dict[str, Any]) -> None:
        names = ("pid", "ppid", "pgid", "sid", "agent", "model", "started", "detached")
        self._db.execute(
            "INSERT INTO process (pid, ppid, pgid, sid, agent, model, started, detached, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*(_clean(record[name]) for name in names), json.dumps(record, separators=(",", ":"))),
        )
        self._db.execute("UPDATE counter SET value = max(value, ?) WHERE name = 'last_pid'", (record["pid"],))

    def _tokens(self, parts: list[Tokens]) -> None:
        """Runs that follow each other become one row; a run from an earlier position replaces what
        the log had behind it."""
        pid, start, data = parts[0].pid, parts[0].at, array("i")
        for part in parts:
            if part.at != start + len(data):
                self._run(pid, start, data)
                start, data = part.at, array("i")
            data.extend(part.tokens)
        self._run(pid, start, data)

    def _run(self, pid: int, at: int, data: "array[int]") -> None:
        row = self._db.execute(
            "SELECT at, tokens FROM tokens WHERE pid = ? AND at < ? ORDER BY at DESC LIMIT 1", (pid, at)
        ).fetchone()
        if row is not None and row[0] + len(row[1]) // 4 > at:
            kept = row[1][: (at - row[0]) * 4]
            self._db.execute("UPDATE tokens SET tokens = ? WHERE pid = ? AND at = ?", (kept, pid, row[0]))
        self._db.execute("DELETE FROM tokens WHERE pid = ? AND at >= ?", (pid, at))
        self._db.execute("INSERT INTO tokens VALUES (?, ?, ?)", (pid, at, _bytes(data)))

    def _ended(self, record: dict[str, Any]) -> None:
        run = self._db.execute
        run("UPDATE counter SET value = value + 1 WHERE name = 'ends'")
        run(
            "UPDATE process SET ended = (SELECT value FROM counter WHERE name = 'ends'),"
            " status = ?, signal = ?, reason = ?, time = ? WHERE pid = ?",
            (record["status"], record["signal"], _clean(record["reason"]), record["ended"], record["pid"]),
        )
        run("DELETE FROM tokens WHERE pid = ?", (record["pid"],))
        if run("SELECT value FROM counter WHERE name = 'ends'").fetchone()[0] % PRUNE_SLACK == 0:
            self._prune()

    def _prune(self) -> None:
        self._db.execute(
            "DELETE FROM process WHERE ended <= (SELECT value FROM counter WHERE name = 'ends') - ?", (STATUSES_KEPT,)
        )

    # Reading.

    def recover(self, now: float) -> Recovered:
        """What the last daemon left. Who was running then has ended now, with LOST_STATUS."""
        run = self._db.execute
        lost = [json.loads(row[0]) for row in run("SELECT record FROM process WHERE ended IS NULL ORDER BY pid")]
        ends = [
            Ended(
                {"pid": each["pid"], "status": LOST_STATUS, "signal": LOST_SIGNAL, "reason": LOST_REASON, "ended": now}
            )
            for each in lost
        ]
        if ends:
            self.write(ends)
        self._prune()
        rows = run(
            "SELECT pid, status, signal, reason, agent, time FROM process WHERE ended IS NOT NULL ORDER BY ended"
        )
        names = ("pid", "status", "signal", "reason", "agent", "ended")
        statuses = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
        last = run("SELECT value FROM counter WHERE name = 'last_pid'").fetchone()[0]
        return Recovered(last, statuses, lost)

    def tokens(self, pid: int) -> "array[int]":
        """The token log of a process, as far as it has no gap."""
        log = array("i")
        for at, data in self._db.execute("SELECT at, tokens FROM tokens WHERE pid = ? ORDER BY at", (pid,)):
            if at != len(log):
                break
            log.extend(_array(data))
        return log

    def close(self) -> None:
        """Write the log back into the file and close it."""
        self._db.close()


def _bytes(tokens: "array[int]") -> bytes:
    if sys.byteorder == "big":
        tokens = array("i", tokens)
        tokens.byteswap()
    return tokens.tobytes()


def _array(data: bytes) -> "array[int]":
    tokens = array("i")
    tokens.frombytes(data)
    if sys.byteorder == "big":
        tokens.byteswap()
    return tokens


def _clean(value: Any) -> Any:
    """Text that came as JSON may hold halves of surrogate pairs, which no UTF-8 has."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
