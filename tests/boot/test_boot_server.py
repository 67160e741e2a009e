"""Connections on a real socket, in front of a desk that writes down what reaches it."""

import array
import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmsh.abi.errors import Error
from llmsh.abi.limits import CLIENTS_MAX, FRAME_MAX
from llmsh.abi.wire import Decoder, encode
from llmsh.boot import server as serving
from llmsh.boot.server import Server


class Desk:
    """A kernel that answers `echo` and keeps the rest."""

    def __init__(self) -> None:
        self.most = CLIENTS_MAX
        self.conns: list[Any] = []
        self.frames: list[tuple[dict[str, Any], bytes]] = []
        self.events = asyncio.Queue[str]()
        self.told: list[str] = []

    def connect(self, conn: Any) -> None:
        if len(self.conns) >= self.most:
            raise Error("EAGAIN", "too many")
        self.conns.append(conn)
        self.events.put_nowait("connect")

    def trap(self, conn: Any, head: dict[str, Any], body: bytes) -> None:
        self.frames.append((head, body))
        if head.get("call") == "echo":
            conn.send({"id": head["id"], "ok": {}}, body)
        self.events.put_nowait("frame")

    def drained(self, conn: Any) -> None:
        self.events.put_nowait("drained")

    def disconnect(self, conn: Any) -> None:
        self.conns.remove(conn)
        self.events.put_nowait("disconnect")

    async def wait(self, event: str) -> None:
        while await asyncio.wait_for(self.events.get(), 60) != event:
            pass


class Wire:
    """A client's end: plain bytes, never blocking the loop."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.connect(path)
        self.decoder = Decoder()
        self.heard: list[tuple[dict[str, Any], bytes]] = []

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def hear(self) -> bool:
        try:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 1 << 16), 60)
        except ConnectionResetError:
            data = b""
        self.heard += self.decoder.feed(data)
        return bool(data)

    async def rest(self) -> list[tuple[dict[str, Any], bytes]]:
        while await self.hear():
            pass
        self.sock.close()
        return self.heard


class Place:
    """A server under a folder, and its clients."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "s")
        self.desk = Desk()
        self.said: list[str] = []
        self.server = Server(asyncio.get_running_loop(), self.desk, self.said.append)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(self.path)
        self.wires: list[Wire] = []

    def wire(self) -> Wire:
        self.wires.append(Wire(self.path))
        return self.wires[-1]


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    made = Place(folder)
    await made.server.listen(made.sock)
    try:
        yield made
    finally:
        made.server.shut()
        for client in list(made.server.clients):
            if client._transport is not None:
                client._transport.abort()
        for wire in made.wires:
            wire.sock.close()
        while made.server.clients:
            await made.desk.wait("disconnect")


def live(folder: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    async def run() -> None:
        async with place(folder) as made:
            await story(made)

    asyncio.run(run())


def test_frames_arrive_whole_however_they_are_cut(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        wire = made.wire()
        data = encode({"id": 1, "call": "echo"}, b"\x00\xff body") + encode({"id": 2, "call": "echo"})
        for at in range(len(data)):
            await wire.send(data[at : at + 1])
        while len(wire.heard) < 2:
            assert await wire.hear()
        assert wire.heard == [({"id": 1, "ok": {}}, b"\x00\xff body"), ({"id": 2, "ok": {}}, b"")]

    live(tmp_path, story)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 8, encode({"id": 1})[:8] + b"\xff" * 50])
def test_what_is_no_frame_ends_the_connection_with_a_reason(tmp_path: Path, garbage: bytes) -> None:
    async def story(made: Place) -> None:
        wire = made.wire()
        await wire.send(garbage)
        heard = await wire.rest()
        assert [head["ev"] for head, _ in heard] == ["bye"]
        assert "frame" in heard[0][0]["reason"]
        await made.desk.wait("disconnect")
        assert made.desk.frames == []

    live(tmp_path, story)


def test_the_peer_is_who_connected(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        made.wire()
        await made.desk.wait("connect")
        peer = made.desk.conns[0].peer
        assert (peer.pid, peer.uid, peer.sid) == (os.getpid(), os.getuid(), os.getsid(0))

    live(tmp_path, story)


def test_a_client_that_does_not_read_is_slow_then_heard_no_more_then_drained(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        wire = made.wire()
        await made.desk.wait("connect")
        conn = made.desk.conns[0]
        sent = 0
        while conn.writable:
            conn.send({"ev": "out"}, b"x" * 1000)
            sent += 1
        assert conn._transport.is_reading()
        while conn._reading:
            conn.send({"ev": "out"}, b"x" * 1000)
            sent += 1
        assert not conn._transport.is_reading()
        await wire.send(encode({"id": 1, "call": "echo"}))
        while len(wire.heard) < sent:
            assert await wire.hear()
        await made.desk.wait("drained")
        assert conn.writable
        while len(wire.heard) == sent:
            assert await wire.hear()
        assert wire.heard[-1] == ({"id": 1, "ok": {}}, b"")

    live(tmp_path, story)


def test_a_client_that_never_reads_is_cut_off_and_the_others_are_served(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        made.wire()
        await made.desk.wait("connect")
        conn = made.desk.conns[0]
        frames = 0
        while not conn._closing:
            conn.send({"ev": "out"}, b"x" * 60000)
            frames += 1
        assert 60000 * frames < serving.LOST * 2
        await made.desk.wait("disconnect")
        assert len(made.said) == 1
        assert "does not read" in made.said[0]
        other = made.wire()
        await other.send(encode({"id": 1, "call": "echo"}))
        assert await other.hear()

    live(tmp_path, story)


def test_descriptors_that_arrive_are_closed(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        wire = made.wire()
        await made.desk.wait("connect")
        reader, writer = os.pipe()
        before = sorted(os.listdir("/proc/self/fd"))
        data = encode({"id": 1, "call": "echo"}, b"abc")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer] * 20))]
        assert wire.sock.sendmsg([data], rights) == len(data)
        os.close(writer)
        assert await wire.hear()
        assert wire.heard == [({"id": 1, "ok": {}}, b"abc")]
        # No copy of the writing end is left anywhere: the pipe is at its end.
        os.set_blocking(reader, False)
        assert os.read(reader, 1) == b""
        os.close(reader)
        assert set(os.listdir("/proc/self/fd")) <= set(before)

    live(tmp_path, story)


def test_too_many_clients_are_told_so(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        made.desk.most = 1
        made.wire()
        await made.desk.wait("connect")
        late = made.wire()
        await late.send(encode({"id": 7, "call": "hello"}))
        heard = await late.rest()
        assert heard[0] == ({"id": 7, "err": "EAGAIN", "msg": "too many"}, b"")
        assert heard[1][0]["ev"] == "bye"
        assert len(made.desk.conns) == 1

    live(tmp_path, story)


def test_far_too_many_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CLIENTS_MAX", 2)
    monkeypatch.setattr(serving, "CLIENTS_RESERVED", 0)
    monkeypatch.setattr(serving, "REFUSED_MAX", 1)

    async def story(made: Place) -> None:
        made.desk.most = 2
        wires = [made.wire() for _ in range(4)]
        assert await wires[3].rest() == []
        assert len(made.server.clients) == 3

    live(tmp_path, story)


def stranger(path: str) -> tuple[int, int]:
    """A process of another user that says hello; its pid and a pipe with what it hears."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(12345)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        sock.sendall(encode({"id": 1, "call": "hello"}))
        while data := sock.recv(1000):
            os.write(writer, data)
        os._exit(0)
    os.close(writer)
    return pid, reader


def heard(pid: int, reader: int) -> bytes:
    """All that it hears, and its end."""
    with open(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        folder = tmp_path
        while folder != folder.parent and folder != Path("/tmp"):
            folder.chmod(0o711)
            folder = folder.parent
        os.chmod(made.path, 0o666)
        said = await asyncio.to_thread(heard, *stranger(made.path))
        (head, _), _ = Decoder().feed(said)
        assert (head["err"], head["msg"]) == ("EPERM", "user 12345 may not use the daemon of user 0")
        assert made.desk.frames == []

    live(tmp_path, story)


def test_an_answer_that_is_too_long_becomes_an_error(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        wire = made.wire()
        await made.desk.wait("connect")
        made.desk.conns[0].send({"id": 3, "ok": {}}, b"x" * FRAME_MAX)
        assert await wire.hear()
        assert (wire.heard[0][0]["id"], wire.heard[0][0]["err"]) == (3, "EMSGSIZE")

    live(tmp_path, story)


def test_who_says_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GREETING_S", 0.01)

    async def story(made: Place) -> None:
        heard = await made.wire().rest()
        assert [head["ev"] for head, _ in heard] == ["bye"]

    live(tmp_path, story)


def test_a_close_delivers_what_was_said_before(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        wire = made.wire()
        await made.desk.wait("connect")
        conn = made.desk.conns[0]
        for number in range(300):
            conn.send({"ev": "out", "n": number}, b"x" * 2000)
        conn.close("enough")
        conn.send({"ev": "late"})
        heard = await wire.rest()
        assert [head.get("n") for head, _ in heard[:-1]] == list(range(300))
        assert heard[-1] == ({"ev": "bye", "reason": "enough"}, b"")

    live(tmp_path, story)


def test_a_close_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "FLUSH_S", 0.01)

    async def story(made: Place) -> None:
        made.wire()
        await made.desk.wait("connect")
        conn = made.desk.conns[0]
        for _ in range(500):
            conn.send({"ev": "out"}, b"x" * 2000)
        conn.close("enough")
        await made.desk.wait("disconnect")

    live(tmp_path, story)


def test_shut_accepts_no_more_and_keeps_who_is_there(tmp_path: Path) -> None:
    async def story(made: Place) -> None:
        wire = made.wire()
        await made.desk.wait("connect")
        made.server.shut()
        with socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
            late.connect(made.path)
        await wire.send(encode({"id": 1, "call": "echo"}))
        assert await wire.hear()

    live(tmp_path, story)
