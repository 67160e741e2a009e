"""One pipe by itself: bytes, room, what is taken and not yet passed on, both ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.kernel.file import File, null
from llmsh.kernel.pipe import Pipe


class Ends:
    """Counts what a pipe tells."""

    def __init__(self, pipe: Pipe) -> None:
        self.told: list[str] = []
        pipe.on_data = lambda: self.told.append("data")
        pipe.on_room = lambda: self.told.append("room")
        pipe.on_hangup = lambda: self.told.append("hangup")


def test_bytes_come_out_in_order_and_room_comes_back() -> None:
    pipe = Pipe(10)
    ends = Ends(pipe)
    pipe.write(b"abcdef")
    assert (pipe.room, pipe.take(4), pipe.room, pipe.take(100), pipe.room) == (4, b"abcd", 8, b"ef", 10)
    assert ends.told == ["data", "room", "room"]
    assert (pipe.empty, pipe.written) == (True, 6)


def test_what_is_held_counts_until_it_is_acknowledged() -> None:
    pipe = Pipe(10)
    ends = Ends(pipe)
    pipe.write(b"abcdef")
    assert pipe.take(6, hold=True) == b"abcdef"
    assert (pipe.room, pipe.empty, ends.told) == (4, False, ["data"])
    pipe.ack(2)
    assert (pipe.room, pipe.empty) == (6, False)
    pipe.ack(1000)
    assert (pipe.room, pipe.empty, ends.told) == (10, True, ["data", "room", "room"])
    pipe.ack(5)
    assert (pipe.room, ends.told.count("room")) == (10, 2)


def test_a_pipe_over_its_capacity_has_no_room() -> None:
    pipe = Pipe(4)
    pipe.write(b"abcdefgh")
    assert pipe.room == 0
    assert pipe.take(8) == b"abcdefgh"


def test_the_end_of_file_comes_after_the_last_byte() -> None:
    pipe = Pipe(10)
    ends = Ends(pipe)
    pipe.write(b"ab")
    pipe.close_write()
    pipe.close_write()
    assert (pipe.eof, ends.told) == (False, ["data", "data"])
    pipe.take(2)
    assert pipe.eof


def test_a_reader_that_goes_is_told_of_once_and_takes_all_along() -> None:
    pipe = Pipe(10)
    ends = Ends(pipe)
    pipe.write(b"abcdef")
    pipe.take(2, hold=True)
    pipe.close_read()
    pipe.close_read()
    pipe.write(b"more")
    pipe.ack(2)
    assert (pipe.empty, bytes(pipe.buffer), ends.told) == (True, b"", ["data", "hangup"])
    assert pipe.check() == []


def test_nothing_written_is_nothing_told() -> None:
    pipe = Pipe(10)
    ends = Ends(pipe)
    pipe.write(b"")
    pipe.take(5)
    assert ends.told == []


def test_check_finds_what_is_wrong() -> None:
    pipe = Pipe(10, ident=3)
    pipe.unacked = -1
    assert pipe.check() == ["pipe 3: -1 bytes unacknowledged"]
    pipe.unacked, pipe.read_closed = 0, True
    pipe.buffer += b"x"
    assert pipe.check() == ["pipe 3: bytes for nobody"]


@given(st.integers(1, 64), st.lists(st.tuples(st.sampled_from("wthac"), st.integers(0, 40)), max_size=60))
def test_whatever_is_written_is_taken_once_and_in_order(capacity: int, moves: list[tuple[str, int]]) -> None:
    pipe, sent, got, held = Pipe(capacity), bytearray(), bytearray(), 0
    for move, count in moves:
        if move == "w":
            data = bytes((len(sent) + n) % 251 for n in range(min(count, pipe.room)))
            pipe.write(data)
            sent += data
        elif move in "th":
            data = pipe.take(count, hold=move == "h")
            got += data
            held += len(data) if move == "h" else 0
        elif move == "a":
            pipe.ack(count)
            held = max(0, held - count)
        assert pipe.room == capacity - (len(sent) - len(got)) - held
        assert 0 <= pipe.room <= capacity
        assert pipe.check() == []
    assert bytes(got) == bytes(sent[: len(got)])


# Descriptors.


def test_null_takes_everything_and_gives_nothing() -> None:
    sink = null(writes=True)
    sink.write(b"x" * 1000)
    assert (sink.room, sink.gone, sink.pipe) == (None, False, None)
    sink.close()


@pytest.mark.parametrize("writes", [True, False])
def test_a_descriptor_closes_its_own_end_once(writes: bool) -> None:
    pipe = Pipe(10)
    ends = Ends(pipe)
    file = File("pipe", pipe, writes)
    file.close()
    file.close()
    assert (pipe.write_closed, pipe.read_closed) == (writes, not writes)
    assert ends.told == (["data"] if writes else ["hangup"])
    file.write(b"late")
    assert pipe.written == 0
