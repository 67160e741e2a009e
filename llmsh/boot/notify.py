"""Tells whoever started the daemon how it goes: a byte on a pipe, and systemd's protocol.

Source: sd_notify(3). The starter's pipe (LLMSH_READY_FD) gets one newline when the daemon serves, or
one line with the cause when it will not.
"""

import os
import socket
from collections.abc import MutableMapping


class Starter:
    """The ends that wait for us. Both variables are taken out of the environment."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        number = environment.pop("LLMSH_READY_FD", "")
        self.fd = int(number) if number.isdecimal() else -1
        self._address = environment.pop("NOTIFY_SOCKET", "")

    @property
    def waits(self) -> bool:
        """Whether a command of ours waits on a pipe."""
        return self.fd >= 0

    @property
    def systemd(self) -> bool:
        """Whether systemd does."""
        return bool(self._address)

    def ready(self) -> None:
        """The daemon serves."""
        self._pipe(b"\n")
        self.notify("READY=1")

    def failed(self, line: str) -> None:
        """It will not."""
        self._pipe(f"{line}\n".encode("utf-8", "replace"))
        self.notify(f"STATUS={line}")

    def _pipe(self, data: bytes) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            try:
                os.write(fd, data)
            except BrokenPipeError:
                pass  # the starter was interrupted; somebody else may need the daemon
            os.close(fd)

    def notify(self, state: str) -> None:
        """Tell systemd; what it does not hear, it does not hear."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(state.encode(), address)
            except OSError:
                return
