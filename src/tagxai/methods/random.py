"""A control: scores drawn at random, which every method must beat (Adebayo et al., "Sanity Checks", NeurIPS 2018)."""

from __future__ import annotations

import zlib
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

    family: ClassVar[str] = "control"
    name: ClassVar[str] = "random"
    expense: ClassVar[str] = "none"

    seed: int = 0
    """Seed of the drawn masks, of which every clip has its own."""

    def explain(self, run: Run) -> Scores:
        clip = run.generation
        random = torch.Generator().manual_seed(zlib.crc32(f"{self.seed} {clip.seed} {clip.prompt}".encode()))
        shape = (1, clip.frames, len(clip.tokens))
        return Scores.mask(torch.rand(shape, generator=random))

    def peak_memory(self, work: Workload) -> int:
        return 0
