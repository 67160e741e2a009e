"""What a process says when nobody disturbs it: the measure of every test that disturbs one.

The fake model's text is a pure function of the log, so whatever happens on the way, a process that
reaches its own end must have said exactly this. It knows no disturbance.
"""

import functools
from typing import Any, NamedTuple

from llmsh.drivers.fakecore import Options

from .machine import Client, Machine


class Job(NamedTuple):
    """One run. `more` is the rest of its arguments as pairs, so that a job can be a key."""

    agent: str
    text: str = ""
    given: bytes | None = None
    """Standard input; None: null."""
    params: tuple[tuple[str, Any], ...] = ()
    into: "Job | None" = None
    """The job that reads its output through a pipe of 256 bytes."""

    def start(self, client: Client, give: bool = True, **more: Any) -> list[int]:
        """Start it and what it feeds; their pids, in order."""
        pids: list[int] = []
        source, job = "null" if self.given is None else "client", self
        while True:
            args = {"params": dict(job.params), "stdin": source, **more}
            if job.into is not None:
                pipe = client.call("pipe", capacity=256)["id"]
                args["stdout"] = f"pipe:{pipe}"
                source = f"pipe:{pipe}"
            if pids:
                args["pgid"] = pids[0]
            pids.append(client.run(job.agent, job.text, **args))
            if job.into is None:
                break
            job = job.into
        if self.given is not None and give:
            client.give(pids[0], self.given)
        return pids


class End(NamedTuple):
    """How a job ended: each process's status, and what the last one said."""

    statuses: tuple[int, ...]
    out: bytes
    err: bytes


def end_of(client: Client, pids: list[int]) -> End:
    """The end of a job that has ended."""
    ends = [client.exited(pid) for pid in pids]
    assert all(ends), f"{[pid for pid, end in zip(pids, ends, strict=True) if not end]} have not ended"
    statuses = tuple(end["status"] for end in ends if end)
    return End(statuses, bytes(client.out.get(pids[-1], b"")), bytes(client.err.get(pids[-1], b"")))


@functools.lru_cache(maxsize=4096)
def undisturbed(job: Job, options: Options) -> End:
    """Alone on a machine of its own."""
    machine = Machine(options)
    client = machine.client()
    pids = job.start(client)
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    machine.sound()
    return end_of(client, pids)
