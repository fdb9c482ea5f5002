"""How much memory a run will take, from the shapes of the model and the clip, and how much is free.

The estimate counts only the large tensors. It is meant to be right within a factor of `MARGIN`, so a run is refused
only where it would not fit even then.
"""

from __future__ import annotations

from dataclasses import dataclass

from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Conditioning
from tagxai.contract.workload import MARGIN, Workload, free, stored_bytes
from tagxai.errors import TagxaiError
from tagxai.explaining.prompts import encode


@dataclass(frozen=True)
class Estimate:
    """Bytes for each part of a run. `free` is what is left beside the loaded weights; None if unknown."""

    weights: int
    generating: int
    explaining: int
    free: int | None

    @property
    def needed(self) -> int:
        """The peak beside the weights."""
        return max(self.generating, self.explaining)

    def __str__(self) -> str:
        parts = {"weights": self.weights, "generating": self.generating, "explaining": self.explaining}
        shown = ", ".join(f"{name} {_size(number)}" for name, number in parts.items() if number)
        free = "" if self.free is None else f"; {_size(self.free)} free beside the weights"
        return f"memory: about {_size(self.weights + self.needed)} ({shown}){free}"

    def check(self) -> None:
        """Raises TagxaiError where the run plainly cannot fit."""
        if self.free is not None and self.needed > MARGIN * self.free:
            raise TagxaiError(
                f"this run needs about {_size(self.needed)} of memory beside the model's weights, and "
                f"{_size(self.free)} are free; use a shorter --duration or --dtype bfloat16, or run it anyway "
                "with --no-memory-check"
            )


def estimate(generator: Generator, prompt: str | Conditioning, duration: float | None, *methods: Method) -> Estimate:
    """The memory for generating `duration` seconds and explaining them by the most demanding of `methods`.

    The prompt may be encoded already.
    """
    conditioning = encode(generator, prompt) if isinstance(prompt, str) else prompt
    work = Workload.of(generator, generator.timeline(duration).positions, conditioning)
    return Estimate(
        weights=stored_bytes(generator),
        generating=work.streaming() + work.forward(2) // work.positions,
        explaining=max((method.peak_memory(work) for method in methods), default=0),
        free=free(conditioning.embeddings.device),
    )


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"
