"""The journal on a real file: what was accepted is there after any end of the daemon, and a full disk
refuses what is new and nothing else."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llmsh.abi.errors import Error
from llmsh.abi.limits import STATUSES_KEPT
from llmsh.kernel import journal as module
from llmsh.kernel import store as storing
from llmsh.kernel.journal import Journal, Reserve
from llmsh.kernel.mounts import on_network
from llmsh.kernel.store import Ended, Started, Store, Tokens

PID = 4194304


def process(pid: int = PID, **more: Any) -> dict[str, Any]:
    return {
        "pid": pid, "ppid": 1, "pgid": pid, "sid": 7, "agent": "ask", "model": "fake", "args": ["hi"],
        "cwd": "/", "nice": 0, "started": 10.0, "detached": True, **more,
    }  # fmt: skip


def end(pid: int = PID, status: int = 0) -> dict[str, Any]:
    return {"pid": pid, "status": status, "signal": 0, "reason": "", "ended": 20.0}


class Rig:
    """A journal with a thread of its own, and a queue in the place of the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.calls: list[Callable[[], None]] = []
        self.some = threading.Condition()
        self.reserve = Reserve(str(folder / "reserve"))
        self.store = Store(str(folder / "journal.db"))
        self.journal = Journal(self.store, self.reserve, self.post, self.said.append)
        self.found = self.journal.recover(30.0)

    def post(self, call: Callable[[], None]) -> None:
        with self.some:
            self.calls.append(call)
            self.some.notify()

    def until(self, done: Callable[[], bool]) -> None:
        """Make posted calls on this thread until done."""
        while not done():
            with self.some:
                assert self.some.wait_for(lambda: self.calls, 60)
                calls, self.calls = self.calls, []
            for call in calls:
                call()

    def start(self, record: dict[str, Any]) -> Error | None:
        answers: list[Error | None] = []
        self.journal.started(record, answers.append)
        assert answers == []
        self.until(lambda: bool(answers))
        return answers[0]

    def flush(self) -> Error | None:
        answers: list[Error | None] = []
        self.journal.barrier(answers.append)
        self.until(lambda: bool(answers))
        return answers[0]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.journal.close()


def test_a_new_journal_knows_nothing_and_is_private(rig: Rig) -> None:
    assert rig.found == storing.Recovered(0, {}, [])
    assert stat.S_IMODE((rig.folder / "journal.db").stat().st_mode) == 0o600
    assert (rig.folder / "reserve").stat().st_size == module.RESERVE_BYTES


def test_accepted_means_on_disk(rig: Rig) -> None:
    assert rig.start(process()) is None
    copy = rig.folder / "copy"
    copy.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        (copy / name).write_bytes((rig.folder / name).read_bytes())
    found = Store(str(copy / "journal.db")).recover(99.0)
    assert found.last_pid == PID
    assert found.lost == [process()]
    assert found.statuses[PID] == {
        "pid": PID, "status": 137, "signal": 9, "reason": storing.LOST_REASON, "agent": "ask", "ended": 99.0,
    }  # fmt: skip


def test_a_lost_process_is_reported_once(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.start(process())
    first.start(process(PID + 1))
    first.journal.ended(end(PID + 1, status=3))
    first.journal.close()
    second = Rig(tmp_path)
    second.journal.close()
    assert [record["pid"] for record in second.found.lost] == [PID]
    third = Rig(tmp_path)
    third.journal.close()
    assert third.found.lost == []
    assert {pid: record["status"] for pid, record in third.found.statuses.items()} == {PID + 1: 3, PID: 137}


def test_the_token_log_survives_and_goes_with_the_end(rig: Rig) -> None:
    rig.start(process())
    rig.journal.tokens(PID, 0, array("i", [1, 2, 3]))
    rig.flush()
    rig.journal.tokens(PID, 3, [49151])
    rig.journal.tokens(PID, 4, [5])
    rig.flush()
    assert rig.store.tokens(PID).tolist() == [1, 2, 3, 49151, 5]
    rig.journal.tokens(PID, 2, [9, 9])
    rig.flush()
    assert rig.store.tokens(PID).tolist() == [1, 2, 9, 9]
    rig.journal.tokens(PID, 0, [8])
    rig.flush()
    assert rig.store.tokens(PID).tolist() == [8]
    rig.journal.ended(end())
    rig.flush()
    assert rig.store.tokens(PID).tolist() == []


def test_tokens_behind_a_gap_are_not_taken_for_the_log(rig: Rig) -> None:
    rig.journal.tokens(PID, 0, [1, 2])
    rig.journal.tokens(PID, 5, [6])
    rig.flush()
    assert rig.store.tokens(PID).tolist() == [1, 2]


def test_many_records_are_few_commits(tmp_path: Path) -> None:
    class Counting(Store):
        commits = 0

        def write(self, records: Any) -> None:
            Counting.commits += 1
            super().write(records)

    rig = Rig(tmp_path)
    rig.journal.close()
    journal = Journal(Counting(str(tmp_path / "journal.db")), rig.reserve, rig.post, rig.said.append)
    answers: list[Error | None] = []
    # Before `recover` starts the thread, so that how much gathers is not a matter of luck.
    for pid in range(PID, PID + 300):
        journal.started(process(pid), answers.append)
        journal.tokens(pid, 0, [1, 2, 3])
    journal.recover(0.0)
    rig.until(lambda: len(answers) == 300)
    journal.close()
    assert answers == [None] * 300
    assert Counting.commits == 1


def test_answers_come_in_order_and_on_the_thread_of_the_loop(rig: Rig) -> None:
    seen: list[tuple[int, int]] = []

    def note(number: int, error: Error | None) -> None:
        assert error is None
        seen.append((number, threading.get_ident()))

    for number in range(50):
        rig.journal.barrier(partial(note, number))
    rig.until(lambda: len(seen) == 50)
    assert seen == [(number, threading.get_ident()) for number in range(50)]


def test_only_the_last_statuses_are_kept_in_the_order_of_ending(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "journal.db"))
    more = 100
    pids = list(range(PID, PID + STATUSES_KEPT + more))
    store.write([Started(process(pid)) for pid in pids])
    store.write([Ended(end(pid)) for pid in reversed(pids)])
    found = store.recover(0.0)
    assert list(found.statuses) == list(reversed(pids))[more:]
    assert found.last_pid == pids[-1]
    assert found.lost == []


def test_pids_are_remembered_when_their_records_are_gone(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "journal.db"))
    store.write([Started(process(PID + 5000)), Ended(end(PID + 5000))])
    for first in range(PID, PID + STATUSES_KEPT + 200, 50):
        pids = range(first, first + 50)
        store.write([Started(process(pid)) for pid in pids])
        store.write([Ended(end(pid)) for pid in pids])
    found = store.recover(0.0)
    assert PID + 5000 not in found.statuses
    assert found.last_pid == PID + 5000


def test_one_bad_record_fails_alone(rig: Rig) -> None:
    assert rig.start(process()) is None
    answers: dict[int, Error | None] = {}
    for pid in (PID, PID + 1):
        rig.journal.started(process(pid), partial(answers.__setitem__, pid))
    rig.until(lambda: len(answers) == 2)
    assert answers[PID + 1] is None
    refused = answers[PID]
    assert refused is not None
    assert refused.code == "EIO"


def test_text_that_is_no_utf8_is_kept_as_far_as_it_goes(rig: Rig) -> None:
    assert rig.start(process(agent="a\ud800b", args=["\udfff"])) is None


def test_a_queue_that_does_not_move_refuses_what_is_new_and_takes_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 3)
    rig = Rig(tmp_path)
    rig.journal.close()
    journal = Journal(Store(str(tmp_path / "journal.db")), rig.reserve, rig.post, rig.said.append)
    answers: dict[int, Error | None] = {}
    for pid in range(PID, PID + 5):
        journal.started(process(pid), partial(answers.__setitem__, pid))
    journal.ended(end(PID))
    rig.until(lambda: len(answers) == 2)
    assert {error.code for error in answers.values() if error} == {"EAGAIN"}
    assert set(answers) == {PID + 3, PID + 4}
    journal.recover(0.0)
    rig.until(lambda: len(answers) == 5)
    journal.close()
    assert next(iter(Store(str(tmp_path / "journal.db")).recover(0.0).statuses)) == PID


# Schema.


def test_a_newer_schema_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    Store(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(Error, match="schema 7, this llmshd knows up to 1") as caught:
        Store(path)
    assert caught.value.code == "EVERSION"


def test_an_older_schema_is_migrated_and_a_copy_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    old = Store(path)
    old.write([Started(process()), Tokens(PID, 0, array("i", [1]))])
    old.close()
    steps = {1: "ALTER TABLE process ADD COLUMN second TEXT", 2: "ALTER TABLE process ADD COLUMN third TEXT"}
    new = Store(path, schema=3, migrations=steps)
    columns = {row[1] for row in new._db.execute("PRAGMA table_info(process)")}
    assert {"second", "third"} <= columns
    assert new.recover(0.0).lost == [process()]
    new.close()
    for number in (1, 2):
        copy = tmp_path / f"journal.db.v{number}"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with sqlite3.connect(copy) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (number,)
            assert database.execute("SELECT count(*) FROM process WHERE ended IS NULL").fetchone() == (1,)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    Store(path).close()
    with pytest.raises(Error, match="nonsense"):
        Store(path, schema=2, migrations={1: "CREATE TABLE a (b); nonsense"})
    store = Store(path)
    assert store._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'a'").fetchone() == (0,)


@pytest.mark.parametrize(
    "content", [b"not a database, and longer than a header" * 50, b"SQLite format 3\0" + b"\xff" * 4080]
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(Error, match=r"journal\.db: .*move it away") as caught:
        Store(str(path))
    assert "\n" not in caught.value.detail


# File systems.


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:2 - nfs4 server:/home rw
31 30 0:41 / /home/ann/local rw - ext4 /dev/vdb rw
32 22 0:42 / /mnt/a\\040b rw - cifs //server/share rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "network"),
    [("/", False), ("/home/ann", True), ("/homes", False), ("/home/ann/local/x", False), ("/mnt/a b/x", True)],
)
def test_network_file_systems_are_told_from_local_ones(path: str, network: bool) -> None:
    assert on_network(path, MOUNTS) is network


@pytest.mark.parametrize(("network", "mode"), [(True, "delete"), (False, "wal")])
def test_no_wal_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool, mode: str
) -> None:
    monkeypatch.setattr(storing, "on_network", lambda _path: network)
    store = Store(str(tmp_path / "journal.db"))
    assert store._db.execute("PRAGMA journal_mode").fetchone() == (mode,)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


# A full disk.

FULL_DISK = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_kernel_journal import Rig, end, process, PID
from llmsh.abi.levels import NOTICE
folder = Path(sys.argv[1])
rig = Rig(folder)
assert rig.start(process()) is None
with open(folder / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"x" * 4096)
    except OSError:
        pass
    pid, error = PID, None
    while error is None and pid < PID + 5000:
        pid += 1
        error = rig.start(process(pid, args=["x" * 4000]))
    assert error is not None and error.code == "ENOSPC", error
    refused = pid
    assert rig.start(process(pid + 1)).code == "ENOSPC"
    assert rig.flush().code == "ENOSPC"
    for each in range(PID, refused):
        rig.journal.ended(end(each))
    rig.flush()
os.unlink(folder / "filler")
pid = refused + 2
assert rig.start(process(pid)) is None
assert rig.said[-1] == NOTICE + "journal: there is space again", rig.said
rig.journal.ended(end(pid))
rig.journal.close()
again = Rig(folder)
assert again.found.lost == [], again.found.lost
wanted = [*range(max(PID, refused - 999), refused), pid]
assert sorted(again.found.statuses) == wanted, (refused, len(again.found.statuses))
again.journal.close()
print("right")
"""


def test_a_full_disk_refuses_what_is_new_and_keeps_ends(tmp_path: Path) -> None:
    script = FULL_DISK.format(tests=os.path.dirname(__file__))
    disk = tmp_path / "disk"
    disk.mkdir()
    # A user and mount namespace of its own: the small disk is gone when the process is.
    inner = 'mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["sh", "-c", inner, "sh", str(disk), sys.executable, script]
    wrapper = ["unshare", "-rm"] if os.getuid() else ["unshare", "-m"]
    probe = subprocess.run([*wrapper, "mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this machine gives no mount namespace")
    done = subprocess.run([*wrapper, *command], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "right\n", done.stderr
