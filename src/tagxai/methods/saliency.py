"""Saliency: how strongly each code reacts to each token (Simonyan, Vedaldi, Zisserman, ICLR workshop 2014, section 3).

The paper takes the largest derivative over the colours of a pixel; an embedding has no such few parts, so its whole
gradient counts, by its length. A length needs every derivative: reverse mode takes a pass for each code, forward mode
one for each token and dimension, and the fewer are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.workload import Workload
from tagxai.lazy import Float, torch
from tagxai.methods.families.gradient import GradientMethod
from tagxai.probing.derivatives import Derivatives


@dataclass(frozen=True)
class Saliency(GradientMethod):
    """Saliency: the length of every code's gradient by each token's embedding (Simonyan et al., 2014)."""

    name: ClassVar[str] = "saliency"
    expense: ClassVar[str] = "outcomes, in reverse mode; or tokens x dimensions in forward mode, if fewer"

    def scores(self, derivatives: Derivatives) -> Float[torch.Tensor, "streams frames tokens"]:
        return derivatives.jacobian(derivatives.embeddings).norm(dim=-1)

    def peak_memory(self, work: Workload) -> int:
        return work.backward(2)
