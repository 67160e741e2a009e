"""Several answers to one input, of which the best is written: the one that the model finds likeliest, per token.

The processes differ in their seeds; what they begin with, the kernel computes once and shares. Input is read
once. Answers and notes are held until the best is known. It knows no option.
"""

from llmsh.abi.errors import Error
from llmsh.abi.light import Sequence
from llmsh.abi.wire import Head
from llmsh.lib import agent
from llmsh.lib.agent import AgentSpec
from llmsh.lib.conn import Connection
from llmsh.lib.foreground import Client
from llmsh.lib.leave import Ending
from llmsh.lib.tee import Tee

CHUNK = 4096
KINDS = ("prompt", "extract")
"""Kinds whose run is an answer."""
MOST = 64


class Answer:
    """What one process has said, and how likely that is."""

    def __init__(self) -> None:
        self.said = {1: bytearray(), 2: bytearray()}
        self.mean = float("-inf")


def start(conn: Connection, spec: AgentSpec, seeds: Sequence[int]) -> list[int]:
    """A process for each seed, in one group; their pids. Raises Error; what had started is ended."""
    pids: list[int] = []
    for seed in seeds:
        rated = spec._replace(params={**spec.params, "seed": seed, "rated": True})
        try:
            pids += agent.start(conn, [rated], pgid=pids[0] if pids else 0)
        except Error:
            if pids:
                conn.post("kill", pid=-pids[0], sig=1)
            raise
    return pids


class Best(Client):
    """Stands for the processes of one prompt."""

    def __init__(self, conn: Connection, pids: Sequence[int]) -> None:
        super().__init__(conn, pids, pids[0], (0, 1, 2), name="run")
        self.answers_of = {pid: Answer() for pid in pids}
        self.tee = Tee(list(pids))
        self.chosen = 0

    def finish(self) -> Ending:
        """Stand for them until the end; the ending of the best, or of the first where all failed."""
        self.stand()
        if self.killed:
            return Ending(self.pids[0], 128 + self.killed, self.killed)
        return Ending(self.chosen, 1) if self.failed else self.endings[self.chosen]

    def turn(self) -> None:
        """See Client."""
        for pid, data in self.tee.give():
            self.post("write", data, pid=pid, fd=0, eof=not data)
        if self.tee.hungry():
            self.inlet.want(1, CHUNK)
        super().turn()

    def done(self) -> bool:
        """See Client. The last one to end brings the choice."""
        if not self.alive() and not self.chosen and not self.killed:
            self.choose()
        return super().done()

    def want(self, pid: int, n: int) -> None:
        """See Client."""
        self.tee.want(pid, n)

    def give(self, pid: int, data: bytes) -> None:
        """See Client: input is for all."""
        self.tee.feed(data)

    def take(self, pid: int, fd: int, body: bytes) -> None:
        """See Client: held until the best is known."""
        self.answers_of[pid].said[fd] += body
        self.post("ack", pid=pid, fd=fd, n=len(body))

    def written(self, fd: int, pieces: list[tuple[int, int]]) -> None:
        """See Client: all have been told already."""

    def deaf(self) -> None:
        """See Client."""
        for pid in self.alive():
            self.post("close", pid=pid, fd=1)

    def ended(self, ending: Ending, head: Head) -> None:
        """See Client."""
        super().ended(ending, head)
        self.tee.forget(ending.pid)
        tokens = int(head.get("tokens_out") or 0)
        if tokens:
            self.answers_of[ending.pid].mean = float(head.get("logprob") or 0.0) / tokens

    def choose(self) -> None:
        """The likeliest of those that ended well, the first of equals; the first when none did."""
        well = [pid for pid in self.pids if not self.endings[pid].code]
        self.chosen = max(well, key=lambda pid: self.answers_of[pid].mean) if well else self.pids[0]
        for fd, outlet in self.outlets.items():
            if not outlet.closed:
                outlet.put(self.chosen, bytes(self.answers_of[self.chosen].said[fd]))
                outlet.end(self.chosen)
