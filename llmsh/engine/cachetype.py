"""What a cache keeps keys and values as: two bytes a number in either form, the one with which this CPU computes
attention faster (docs/adr/0026).

Source: ggml.h (ggml_type), llama_print_system_info.
"""

from typing import Any

from llmsh.engine.binding import C

AUTO = "auto"
TYPES = {"f16": 1, "bf16": 30}
"""Names, and ggml's numbers of them."""
_MULTIPLIES = b"AVX512_BF16 = 1"
"""Of what llama.cpp says of itself: built for a CPU that multiplies bf16, and so run on one."""


def name(asked: str = AUTO) -> str:
    """The type that is asked for; `auto`: bf16 where the CPU multiplies it."""
    if asked != AUTO:
        return asked
    return "bf16" if _MULTIPLIES in C.llama_print_system_info() else "f16"


def tiled(asked: str = AUTO) -> bool:
    """Whether a token of a prompt costs less in a step of many: llama.cpp's attention in tiles takes f16 only."""
    return name(asked) == "f16"


def apply(params: Any, asked: str = AUTO) -> None:
    """Set it in a llama_context_params."""
    params.type_k = params.type_v = TYPES[name(asked)]
