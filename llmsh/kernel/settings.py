"""What a user can set of the kernel. boot/config.py fills it from llmshd.toml(5)."""

from dataclasses import dataclass

from llmsh.abi.limits import NPROC_SESSION, PIPE_CAPACITY


@dataclass(frozen=True)
class Settings:
    """Each field is a key of llmshd.toml; times in seconds, sizes in bytes or tokens."""

    model: str = "smollm2"
    policy: str = "mlfq"
    batch: int = 0
    """Sequences in one step of a core; 0: as many as the rates say, 16 before there are any."""
    cores: int = 0
    """0: up to one for each of the machine's, 4 at most; as many work as the rates say."""
    threads: int = 0
    """Of a step; 0: as many as the rates say, before there are any one fewer than there are cores."""
    calibrate: bool = False
    """Measure how fast steps are, once for a model and a machine, when nothing runs."""
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
    swap_memory: int = 0
    """Bytes of images that each model keeps in memory; what is more goes to its swap file. 0: no bound."""
    swap_file: int = 0
    """Bytes of each model's swap file; 0: none, images that are too many are computed again."""
    swap_order: str = "elevator"
    """none or elevator: how the swap file is read and written."""
    memory: int = 0
    """Bytes that all loaded models may take together: weights and caches."""
    model_turn_s: float = 10.0
    model_wait_s: float = 30.0
    strict: bool = False
    """Raise where a book is wrong (tests) instead of going on."""
