"""Where things lie: the XDG folders, the socket, a model's file. Source: XDG Base Directory 0.8.

It creates and checks nothing (boot does) and prints nothing. platformdirs is not used: importing it
costs a short command more than everything else it does; a test holds the two to the same answers.
"""

import os

APP = "llmsh"


def _xdg(variable: str, fallback: str) -> str:
    value = os.environ.get(variable, "")
    root = value if os.path.isabs(value) else os.path.join(os.path.expanduser("~"), fallback)
    return os.path.join(root, APP)


def config() -> str:
    """Units, config and startup files of the user."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def data() -> str:
    """Models."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def state() -> str:
    """Journal, logs, lock, history, swap."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def runtime() -> str:
    """The folder of the socket: XDG_RUNTIME_DIR, else /run/user/UID, else ours under /tmp."""
    value = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(value):
        return os.path.join(value, APP)
    run = f"/run/user/{os.getuid()}"
    if os.path.isdir(run):
        return os.path.join(run, APP)
    return f"/tmp/{APP}-{os.getuid()}"


def socket() -> str:
    """The daemon's socket: LLMSH_SOCKET, else a file in the runtime folder."""
    return os.environ.get("LLMSH_SOCKET") or os.path.join(runtime(), "llmshd.sock")


def lock() -> str:
    """The file whose lock makes the daemon the only one."""
    return os.path.join(state(), "llmshd.lock")


def journal() -> str:
    """The daemon's database: processes, token logs, exit statuses."""
    return os.path.join(state(), "journal.db")


def shipped() -> str:
    """The folder of the units that come with the code."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = os.path.join(here, "_data", "agents.d")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(here), "agents.d")


def units() -> list[str]:
    """Folders searched for units: the user's, the system's, the shipped ones."""
    return [os.path.join(config(), "agents.d"), f"/etc/{APP}/agents.d", shipped()]


def models() -> str:
    """The folder of models: NAME.gguf, and NAME.toml with source and licence."""
    return os.path.join(data(), "models")


def model_file(name: str) -> str:
    """The file of a model given by name, or by a path (anything with a slash)."""
    if "/" in name:
        return os.path.abspath(os.path.expanduser(name))
    return os.path.join(models(), name.removesuffix(".gguf") + ".gguf")
