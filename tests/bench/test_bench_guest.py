"""Clients that the bench plays: several runs on one connection, chats, and guests in sessions of their own."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from bench import arrivals
from bench.arrivals import Arrival
from bench.daemon import Daemon
from bench.guest import Guest
from bench.idle_cells import UNIT
from bench.jobs import ENDLESS, Jobs, density, made, memory, ps
from llmsh.abi.signals import KILL
from llmsh.lib.conn import Connection

FAKE = "fake"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(FAKE, UNIT, pipe_capacity=256) as daemon:
        yield daemon


@pytest.fixture
def conn(daemon: Daemon) -> Iterator[Connection]:
    with closing(daemon.connect()) as conn:
        conn.call("load", model=FAKE)
        yield conn


def test_jobs_have_their_times_in_order_and_all_their_tokens(conn: Connection) -> None:
    jobs = arrivals.ours(Jobs(conn), [Arrival(0.0, "one", 3), Arrival(0.01, "two", 40)])
    assert all(job.whole and job.began < job.first <= job.ended for job in jobs)
    assert jobs[1].began - jobs[0].began >= 0.01


def test_a_job_that_cannot_be_is_told_and_not_waited_for(conn: Connection) -> None:
    jobs = Jobs(conn)
    job = jobs.start("text", 3, agent="nobody-is-called-so")
    jobs.all_ended([job])
    assert not job.whole
    assert "nobody-is-called-so" in job.fault


def test_a_chat_sleeps_between_lines_longer_than_its_pipe(conn: Connection) -> None:
    jobs = Jobs(conn)
    chat = jobs.start("", 2, agent="talk", stdin="client", params={"raw": True})
    jobs.say(chat, "word " * 300)
    jobs.settle([chat])
    first = chat.first
    assert chat.began < first
    (row,) = ps(conn, [chat.pid])
    assert int(row["ctx"]) >= 1499
    assert memory(conn)["used"] + memory(conn)["swap"] >= 1499
    jobs.say(chat, "again")
    jobs.settle([chat])
    assert chat.first > first
    conn.call("kill", pid=chat.pid, sig=KILL)
    jobs.all_ended([chat])
    with pytest.raises(AssertionError, match="1 of 1 ended: status 137"):
        jobs.settle([chat])


def test_density_counts_with_the_models_own_tokens(conn: Connection) -> None:
    assert 3.0 < density(conn) < 8.0, "the fake model's tokens are bytes"


def test_guests_are_sessions_of_their_own_and_one_is_before_a_terminal(daemon: Daemon, conn: Connection) -> None:
    with Guest(daemon, terminal=True) as person, Guest(daemon) as other:
        pids = [guest.flood(["text"], ENDLESS)[0] for guest in (person, other)]
        mine, others = ps(conn, pids)
        assert mine["tty"].startswith("pts/")
        assert mine["stat"].endswith("+")
        assert others["tty"] == "?"
        assert "+" not in others["stat"]
        assert mine["sid"] != others["sid"]
        assert made(conn, pids) >= 0
        for guest in (person, other):
            guest.clear()
        person.play([Arrival(0.0, "now", 2)])
        other.ask(["one", "two"], 3)
        (told,), asked = person.told(), other.told()
        assert told.whole
        assert told.began < told.first <= told.ended
        assert [each.tokens for each in asked] == [3, 3]
        assert asked[0].ended <= asked[1].began
    assert not ps(conn, pids), "they were cleared"
