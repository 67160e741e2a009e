"""llmshd: the command line, and the order of things before the event loop. See llmshd(8).

Whatever keeps it from serving is one line: on the terminal, or to the command that started it.
"""

import argparse
import asyncio
import os
import resource
import sys

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.version import BUILD
from llmsh.boot import config as configuration
from llmsh.boot import daemonise, socketfile
from llmsh.boot.config import Config
from llmsh.boot.daemon import Daemon
from llmsh.boot.instance import Instance
from llmsh.boot.log import Log
from llmsh.boot.notify import Starter

FILES_WANTED = 8192


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="llmshd", description="Owns the models and processes of llmsh. Commands start it by themselves."
    )
    parser.add_argument(
        "-f", "--foreground", action="store_true", help="stay in this session and never leave for idleness"
    )
    parser.add_argument("-c", "--config", default="", metavar="FILE", help=f"instead of {configuration.file()}")
    parser.add_argument("-o", "--option", action="append", default=[], metavar="KEY=VALUE", help="a key of llmshd.toml")
    parser.add_argument("-V", "--version", action="version", version=f"llmshd {BUILD}")
    return parser.parse_args(argv)


def _more_files() -> None:
    """Each client is a descriptor, and so are logs and engines."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _live(config: Config, starter: Starter, log: Log, instance: Instance, fds: list[int], stays: bool) -> None:
    daemon = Daemon(config, starter, log, instance, fds, stays=stays)
    try:
        await daemon.run()
    finally:
        daemon.close()


def _serve(config: Config, starter: Starter, fds: list[int], foreground: bool) -> None:
    """From the lock to its release. Raises Error."""
    instance = Instance()
    try:
        log = Log(os.path.join(paths.state(), "llmshd.log"), config.log_max_bytes, echo=foreground)
    except OSError as exc:
        raise Error("EACCES", f"{paths.state()}: {exc.strerror}") from None
    if not foreground:
        log.take_stderr()
    _more_files()
    stays = foreground or starter.systemd or bool(fds)
    asyncio.run(_live(config, starter, log, instance, fds, stays))
    instance.release()


def main(argv: list[str] | None = None) -> int:
    """Become the daemon. The exit status: 0 after a clean end, 1 or 2 when it could not serve."""
    options = _options(argv)
    starter = Starter(os.environ)
    fds = socketfile.inherited(os.environ)
    try:
        where = os.path.abspath(options.config) if options.config else ""
        config = configuration.changed(configuration.read(where), options.option)
        if not options.foreground:
            if not starter.waits and not fds:
                starter.fd = daemonise.fork()
            daemonise.detach(os.environ)
        daemonise.settle([*fds, *([starter.fd] if starter.waits else [])])
        _serve(config, starter, fds, options.foreground)
    except Error as error:
        line = f"llmshd: {error.detail}"
        if not starter.waits or options.foreground:
            sys.stderr.write(f"{line}\n")
        starter.failed(line)
        return 2 if error.code == "EINVAL" else 1
    return 0
