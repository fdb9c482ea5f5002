"""A control: scores drawn at random, which every method must beat (Adebayo et al., "Sanity Checks", NeurIPS 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload
from tagxai.lazy import torch


@dataclass(frozen=True)
class Random(Method):
    """Control: uniform random masks, one value for each step and token (Adebayo et al. 2018)."""

    name: ClassVar[str] = "random"
    passes = "none"

    seed: int = 0

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        random = torch.Generator().manual_seed(self.seed)
        scores = torch.rand(1, generation.frames, len(generation.tokens), generator=random)
        return Attribution(generation, scores, self.name, self.settings(), is_mask=True, merge="mean")

    def memory(self, work: Workload) -> int:
        return 0
