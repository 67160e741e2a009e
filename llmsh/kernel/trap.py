"""The way into the kernel: a frame becomes a call, its arguments are checked, sys_* is run.

No frame, whatever is in it, raises out of here: what a caller can cause is an Error and its answer.
"""

from typing import TYPE_CHECKING, Any

from llmsh.abi.errors import Error
from llmsh.abi.limits import CLIENTS_MAX
from llmsh.abi.syscalls import TABLE, Call
from llmsh.kernel import sys_info, sys_io, sys_process
from llmsh.kernel.args import checked
from llmsh.kernel.caller import Caller, Trap

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel

HANDLERS = {
    name: getattr(module, f"sys_{name}")
    for module in (sys_info, sys_io, sys_process)
    for name in TABLE
    if hasattr(module, f"sys_{name}")
}
"""sys_x for every call x of the table."""

assert HANDLERS.keys() == TABLE.keys(), TABLE.keys() ^ HANDLERS.keys()

BEGINNINGS = frozenset({"run", "fork", "pipe", "load"})
"""Calls that a connection from the reserve is refused."""
CALLS_MAX = 1024
"""Calls of one connection that may wait for their answer."""


def trap(kernel: "Kernel", caller: Caller, head: dict[str, Any], body: bytes) -> None:
    """Run one call for a caller."""
    ident = head.get("id", 0)
    if not isinstance(ident, int) or isinstance(ident, bool) or not 0 <= ident < 1 << 53:
        caller.conn.close("a call's id must be a number")
        return
    name = head.get("call")
    call = Trap(caller, ident, str(name), {}, body)
    try:
        entry = _entry(kernel, call)
        call.args = checked(entry, head.get("args", {}))
        HANDLERS[entry.name](kernel, call)
    except Error as error:
        call.fail(error)
        if not caller.greeted:
            caller.conn.close(error.detail)


def _entry(kernel: "Kernel", call: Trap) -> Call:
    entry, caller = TABLE.get(call.name), call.caller
    if entry is None:
        raise Error("ENOSYS", f"no call {call.name[:64]!r}")
    if not caller.greeted and entry.name != "hello":
        raise Error("EPROTO", "the first call must be hello")
    if call.body and not entry.body:
        raise Error("EINVAL", f"{entry.name} takes no body")
    if len(caller.calls) > CALLS_MAX:
        raise Error("EAGAIN", f"{CALLS_MAX} calls are waiting already")
    if caller.spare and entry.name in BEGINNINGS and len(kernel.callers) > CLIENTS_MAX:
        raise Error("EAGAIN", f"{CLIENTS_MAX} clients are connected already")
    return entry
