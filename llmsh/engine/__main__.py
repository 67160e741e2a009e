"""Start of an engine: options, sandbox, model, READY, loop. The kernel's driver starts it."""

import argparse
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by numpy when it is loaded; its threads take room
# Images would have huge pages. A hypervisor takes those back when they are free for seconds, and giving them out again
# takes 45 to 90 ms for 1,000 tokens; small ones 9 ms, each time.
os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")

from llmsh.abi import lease
from llmsh.abi.errors import Error
from llmsh.abi.limits import CACHE_TYPES
from llmsh.engine import sandbox
from llmsh.engine.channel import BROKEN, Channel, Closed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llmsh.engine", description="Serves one model to llmshd.")
    parser.add_argument("--model", required=True, metavar="FILE")
    for name in ("data-fd", "control-fd", "abort-fd", "cells", "cores", "threads", "threads-batch", "sequences"):
        parser.add_argument(f"--{name}", type=int, required=True, metavar="N")
    parser.add_argument("--cache-type", choices=CACHE_TYPES, default="auto")
    parser.add_argument("--swap-fd", type=int, default=-1, metavar="N")
    return parser.parse_args()


def _serve(options: argparse.Namespace, channel: Channel) -> None:
    """Load, say READY, and go. Raises Error when the model cannot be served."""
    # Here, so that a fault of theirs is one message and the sandbox is up before llama.cpp runs.
    from llmsh.engine import assembly

    assembly.serve(options, channel)


def main() -> int:
    """The process: 0 when the kernel closes the channel, 1 on what cannot go on."""
    options = _options()
    channel = Channel(options.data_fd)
    sandbox.lower()
    missing = sandbox.enter(options.model)
    if missing:
        sys.stderr.write(f"engine: this machine allows no {', no '.join(missing)}\n")
    try:
        _serve(options, channel)
    except Closed:
        return 0
    except Error as exc:
        channel.send(lease.Failed(exc.code, exc.detail))
        channel.flush()
    except BROKEN as exc:
        sys.stderr.write(f"engine: data channel: {str(exc).splitlines()[0] if str(exc) else type(exc).__name__}\n")
    return 1


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not sys.exit: llama.cpp's own clean-up would free what threads still look at, to no use.
    os._exit(status)
