"""Raw cross-attention: where the decoder looks (the per-word maps of DAAM, Tang et al., ACL 2023, over time)."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from tagxai.attribution import Attribution
from tagxai.base import Generator, Method
from tagxai.errors import TagxaiError
from tagxai.hooks import Capture, edit_attention
from tagxai.lazy import torch
from tagxai.memory import Workload
from tagxai.types import Generation, OnProgress, undo_delay


@dataclass(frozen=True)
class CrossAttention(Method):
    """Raw cross-attention weights, averaged over layers and heads (as DAAM, Tang et al. 2023, over time)."""

    name: ClassVar[str] = "cross_attention"
    needs = frozenset({"attention"})

    layer: int | None = None
    """One layer (0 is the first, -1 the last), or all."""
    head: int | None = None
    """One head, or all."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        sites = generator.cross_attention()
        if self.layer is not None:
            sites = [_pick("layer", list(sites), self.layer)]
        capture = Capture(keep_heads=self.head is not None)
        with torch.no_grad(), edit_attention(sites, capture):
            generator.forward(generation, log_prob=False)
        weights = capture.weights()[0].float().cpu()
        if self.head is not None:
            weights = _pick("head", list(weights), self.head)
        return Attribution(
            generation,
            undo_delay(weights, generation.delays, generation.frames),
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, "forward_passes": 1},
        )

    def memory(self, work: Workload) -> int:
        return work.forward(1)


def _pick(kind: str, choices: list, index: int):
    if not -len(choices) <= index < len(choices):
        raise TagxaiError(f"no {kind} {index}: the model has {kind}s 0 to {len(choices) - 1} (-1 is the last)")
    return choices[index]
