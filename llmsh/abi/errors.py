"""Error names, their messages and exit statuses. Source: errno(3), sysexits(3).

An error that a caller can cause has a name here. What only a bug of ours can cause is a panic and
has none.
"""

MESSAGES = {
    "EPERM": "operation not permitted",
    "ENOENT": "no such file or agent",
    "ESRCH": "no such process",
    "EINTR": "interrupted",
    "EIO": "input/output error",
    "E2BIG": "argument list too long",
    "EBADF": "bad descriptor",
    "ECHILD": "no child processes",
    "EAGAIN": "resource temporarily unavailable",
    "ENOMEM": "cannot allocate cells",
    "EACCES": "permission denied",
    "EBUSY": "device or resource busy",
    "EEXIST": "already exists",
    "ENODEV": "no such device",
    "ENOTTY": "no terminal",
    "EINVAL": "invalid argument",
    "EFBIG": "too large",
    "ENOSPC": "no space left on device",
    "EPIPE": "broken pipe",
    "ENOSYS": "no such system call",
    "EMSGSIZE": "message too long",
    "EPROTO": "protocol error",
    "ETIMEDOUT": "timed out",
    "ENOTSUP": "operation not supported",
    "ENOEXEC": "not an agent or a model",
    "EHOSTDOWN": "the daemon is not running",
    "EVERSION": "the daemon speaks another version",
}
"""Each error's name and what it says when the kernel adds no detail."""

STATUSES = {
    "ENOENT": 127,
    "ENOEXEC": 126,
    "EACCES": 126,
    "EINVAL": 2,
    "ETIMEDOUT": 124,
    "EVERSION": 69,
}
"""Exit statuses of errors that have their own; every other is 1."""


class Error(Exception):
    """A named error: `code` is a key of MESSAGES, `detail` one line for a person.

    Error
     `- raised by sys_* in the kernel, sent as {"err": code, "msg": detail}, raised again by lib
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code if code in MESSAGES else "EIO"
        self.detail = detail or MESSAGES[self.code]
        super().__init__(self.detail)

    @property
    def status(self) -> int:
        """The exit status of a command that ends by this error."""
        return STATUSES.get(self.code, 1)
