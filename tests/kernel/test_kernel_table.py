"""The process table by itself: pids, groups, sessions, parents."""

import pytest

from llmsh.abi.errors import Error
from llmsh.abi.limits import INIT, PID_FIRST
from llmsh.abi.states import DEAD, DISK, MOVES, RUN, SLEEP, STOPPED, ZOMBIE
from llmsh.kernel.caller import Caller
from llmsh.kernel.proc import Panic, Process
from llmsh.kernel.table import Table
from tests.support.machine import Machine


def process(table: Table, *, ppid: int = 100, pgid: int = 0, sid: int = 100) -> Process:
    pid = table.next_pid()
    made = Process(pid, ppid, pgid or pid, sid, "ask")
    table.add(made)
    return made


def ended(table: Table, made: Process) -> None:
    made.move(ZOMBIE)
    table.remove(made)


def test_pids_start_above_the_machines_or_where_the_journal_ends() -> None:
    assert Table().next_pid() == PID_FIRST + 1
    assert Table(PID_FIRST + 500).next_pid() == PID_FIRST + 501
    assert Table(12).next_pid() == PID_FIRST + 1


def test_who_is_there() -> None:
    table = Table()
    one, two = process(table), process(table)
    assert (len(table), list(table), table.get(one.pid), table.find(two.pid)) == (2, [one, two], one, two)
    ended(table, one)
    assert (list(table), table.find(one.pid)) == ([two], None)
    with pytest.raises(Error, match="no such process"):
        table.get(one.pid)
    assert table.check() == []


def test_a_pid_cannot_be_used_twice_nor_a_live_process_be_removed() -> None:
    table = Table()
    one = process(table)
    with pytest.raises(Panic):
        table.add(one)
    with pytest.raises(Panic):
        table.remove(one)


def test_groups() -> None:
    table = Table()
    leader = process(table)
    member = process(table, pgid=leader.pid)
    other = process(table)
    assert table.group(leader.pid) == [leader, member]
    table.set_group(other, leader.pid)
    assert table.group(leader.pid) == [leader, member, other]
    assert not table.has_group(other.pid)
    # A group outlives its leader, and ends with its last member.
    ended(table, leader)
    assert table.group(leader.pid) == [member, other]
    table.set_group(member, member.pid)
    ended(table, other)
    with pytest.raises(Error, match="no such process group"):
        table.group(leader.pid)
    assert table.check() == []


def test_sessions_are_counted() -> None:
    table = Table()
    one, two, other = process(table), process(table), process(table, sid=200)
    assert (table.in_session(100), table.in_session(200), table.in_session(300), table.sessions) == (2, 1, 0, 2)
    for each in (one, two, other):
        ended(table, each)
    assert (table.in_session(100), table.sessions) == (0, 0)


def test_children_go_to_who_holds_their_descriptors_or_to_init() -> None:
    client = Machine().client(pid=300)
    table = Table()
    parent = process(table)
    held, left, nobodys, stranger = (process(table, ppid=ppid) for ppid in (parent.pid, parent.pid, parent.pid, 100))
    held.owner, left.owner = Caller(client), Caller(client)
    left.owner.gone = True
    table.adopt(parent.pid)
    assert [each.ppid for each in (held, left, nobodys, stranger)] == [300, INIT, INIT, 100]
    assert table.check() == []


@pytest.mark.parametrize("before", MOVES)
@pytest.mark.parametrize("after", MOVES)
def test_only_legal_moves_pass_the_door(before: str, after: str) -> None:
    made = Process(1, 1, 1, 1, "ask")
    made.state = before
    if after == before or after in MOVES[before]:
        made.move(after)
        assert made.state == after
    else:
        with pytest.raises(Panic):
            made.move(after)


def test_what_is_alive() -> None:
    made = Process(1, 1, 1, 1, "ask")
    for state, alive in ((RUN, True), (SLEEP, True), (DISK, True), (STOPPED, True), (ZOMBIE, False), (DEAD, False)):
        made.state = state
        assert made.alive == alive


def test_check_finds_what_is_wrong() -> None:
    table = Table()
    one = process(table)
    table._groups.clear()
    assert table.check() == ["groups and processes differ"]
    table._groups[one.pgid] = {one.pid}
    table._sessions[5] = 1
    assert table.check() == ["sessions and processes differ"]
