"""Where messages to an engine of several cores go, and that those of one sequence stay in order."""

from llmsh.abi import lease
from llmsh.abi.routes import Routes


def test_a_message_goes_where_its_sequence_was_opened() -> None:
    routes = Routes(3)
    assert [routes.of(lease.Open(q, core)) for q, core in ((1, 0), (2, 2), (3, lease.EXACT), (4, 99))] == [0, 2, 0, 0]
    assert [routes.of(lease.Lease(q, 0, 5)) for q in (1, 2, 3, 4, 77)] == [0, 2, 0, 0, 0]


def test_a_fork_is_where_its_parent_is() -> None:
    routes = Routes(2)
    routes.of(lease.Open(1, 1))
    assert routes.of(lease.Fork(1, 2, 5, op=1)) == 1
    assert routes.of(lease.Lease(2, 0, 9)) == 1


def test_a_move_counts_once_it_is_obeyed() -> None:
    routes = Routes(2)
    routes.of(lease.Open(1, 0))
    move = lease.Move(1, 1, op=1)
    assert (routes.of(move), routes.of(lease.Load(1, op=2)), routes.now(1, 0)) == (0, 0, 0)
    routes.obeyed(move, 1)
    assert (routes.now(1, 0), routes.of(lease.Lease(1, 0, 9))) == (1, 1)
    # One that was refused changes nothing.
    routes.obeyed(lease.Move(1, 7, op=3), 1)
    assert routes.now(1, 0) == 1


def test_a_dropped_sequence_is_forgotten() -> None:
    routes = Routes(2)
    routes.of(lease.Open(1, 1))
    routes.obeyed(lease.Drop(1, op=1), 0)
    assert routes.of(lease.Lease(1, 0, 9)) == 0
