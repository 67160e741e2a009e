"""What a user can set of the kernel. boot/config.py fills it from llmshd.toml(5)."""

from dataclasses import dataclass

from llmsh.abi.limits import NPROC_SESSION, PIPE_CAPACITY


@dataclass(frozen=True)
class Settings:
    """Each field is a key of llmshd.toml; times in seconds, sizes in bytes or tokens."""

    model: str = "smollm2"
    policy: str = "fair"
    batch: int = 16
    """Sequences in one step of a core."""
    quantum: int = 16
    """Tokens of one lease."""
    pipe_capacity: int = PIPE_CAPACITY
    starvation_s: float = 30.0
    boost_tokens: int = 64
    latency_ms: float = 100.0
    """Time between two tokens of the foreground that background work keeps within; 0: no such bound."""
    grace_s: float = 2.0
    nproc: int = NPROC_SESSION
    model_idle_s: float = 600.0
    strict: bool = False
    """Raise where a book is wrong (tests) instead of going on."""
