"""The engine's I/O thread: images to the swap file and back, a call at a time, in the order in which it is told.

It decides no order; the kernel does. Steps go on meanwhile.
"""

import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np

from llmsh.abi import lease
from llmsh.engine.channel import Closed
from llmsh.engine.image import Image
from llmsh.engine.sequence import Sequence


class Disk:
    """`fd`: the swap file, -1 for none. `tell` sends a message; `lock` is held for what concerns sequences."""

    def __init__(
        self, fd: int, sequences: dict[int, Sequence], lock: threading.Lock, tell: Callable[[lease.Done], None]
    ) -> None:
        self._fd = fd
        self._sequences = sequences
        self._lock = lock
        self._orders: SimpleQueue[tuple[lease.Transfer, list[Image], list[int]]] = SimpleQueue()
        self._tell = tell

    def start(self) -> None:
        """Begin to serve."""
        threading.Thread(target=self._serve, name="disk", daemon=True).start()

    def take(self, order: lease.Transfer) -> None:
        """One more order; the lock is held. What it is about is settled now, whatever comes meanwhile."""
        found = [self._sequences.get(q) for q in order.qs]
        if order.write:
            images = [each.image for each in found if each is not None and each.image is not None]
            sizes = [image.nbytes for image in images]
        else:
            sizes = [each.spilled for each in found if each is not None and each.spilled]
            images = [np.empty(size, np.uint8) for size in sizes]
        if self._fd < 0 or len(images) != len(order.qs):
            self._tell(lease.Done(order.op, 0, error="no swap file" if self._fd < 0 else "an image is not there"))
            return
        self._orders.put((order, images, sizes))

    def _serve(self) -> None:
        while True:
            order, images, sizes = self._orders.get()
            began = time.perf_counter()
            try:
                self._move(order, images, sum(sizes))
                error = ""
            except OSError as exc:
                error = exc.strerror or "input/output error"
            ms = round((time.perf_counter() - began) * 1000, 3)
            with self._lock:
                if not error:
                    self._settle(order, images)
                try:
                    self._tell(lease.Done(order.op, 0, error=error, ms=ms))
                except Closed:
                    return  # the kernel is gone; the loop sees it, too

    def _move(self, order: lease.Transfer, images: list[Image], size: int) -> None:
        """One call, and more only where the system did less than it was asked for. Raises OSError."""
        parts = [image.data for image in images]
        call = os.pwritev if order.write else os.preadv
        at = order.offset
        while parts:
            count = call(self._fd, parts, at)
            if not count:
                raise OSError(0, "the swap file ends early")
            at += count
            while parts and count >= parts[0].nbytes:
                count -= parts.pop(0).nbytes
            if parts:
                parts[0] = parts[0][count:]
        # Without this the pages stay in memory, which was to be relieved of them, and push out those of others.
        if order.write:
            os.fdatasync(self._fd)
        os.posix_fadvise(self._fd, order.offset, size, os.POSIX_FADV_DONTNEED)

    def _settle(self, order: lease.Transfer, images: list[Image]) -> None:
        for q, image in zip(order.qs, images, strict=True):
            sequence = self._sequences.get(q)
            if sequence is None or sequence.saved < 0:
                continue  # dropped or loaded meanwhile
            if order.write and sequence.image is image:
                sequence.image, sequence.spilled = None, image.nbytes
            elif not order.write and sequence.spilled:
                sequence.image, sequence.spilled = image, 0
