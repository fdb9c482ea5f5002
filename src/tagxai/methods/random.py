"""A control: scores drawn at random, which every method must beat (Adebayo et al., "Sanity Checks", NeurIPS 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import Workload
from tagxai.lazy import torch


@dataclass(frozen=True)
class Random(Method):
    """Control: uniform random masks, one value for each frame and token (Adebayo et al. 2018)."""

    name: ClassVar[str] = "random"
    expense: ClassVar[str] = "none"

    seed: int = 0
    """Seed of the drawn masks."""

    def explain(self, run: Run) -> Scores:
        random = torch.Generator().manual_seed(self.seed)
        shape = (1, run.generation.frames, len(run.generation.tokens))
        return Scores.mask(torch.rand(shape, generator=random))

    def peak_memory(self, work: Workload) -> int:
        return 0
