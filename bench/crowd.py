"""Threads that each wait for one answer of a peer. It knows no peer."""

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType


class Crowd(ThreadPoolExecutor):
    """Leaving it waits for all answers; an interrupted measurement does not, so that the peer can be ended first."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(wait=kind is None, cancel_futures=kind is not None)
