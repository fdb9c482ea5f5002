"""Gradient SHAP, or expected gradients (Erion et al., Nature Machine Intelligence 2021; Lundberg & Lee, NeurIPS 2017).

Integrated gradients whose integral is drawn at random: a point between the null condition and a noisy copy of the
prompt, many times. The points are stratified, one in each of as many equal parts of the path, which leaves the
expectation as it is and makes its error smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from tagxai.lazy import torch
from tagxai.methods.families.gradient import GradientMethod
from tagxai.probing.derivatives import Derivatives


@dataclass(frozen=True)
class GradientShap(GradientMethod):
    """Gradient SHAP: expected gradients between no prompt and noisy copies of the prompt (Erion et al., 2021)."""

    name: ClassVar[str] = "gradient_shap"
    expense: ClassVar[str] = "samples x tokens, in forward mode (tokens in batches)"
    complete: ClassVar[bool] = True

    samples: int = 12
    """Points that are drawn between the null condition and the prompt."""
    noise: float = 0.1
    """Standard deviation of the noise on the prompt, as a share of that of each token's embedding."""
    seed: int = 0
    """Seed of the drawn points."""

    def __post_init__(self) -> None:
        self.require("samples", self.samples >= 1, "at least 1")
        self.require("noise", self.noise >= 0, "at least 0")

    def derivatives_asked_for(self) -> int:
        return self.samples

    def scores(self, derivatives: Derivatives) -> Float[torch.Tensor, "streams frames tokens"]:
        prompt = derivatives.embeddings
        random = torch.Generator().manual_seed(self.seed)
        spread = self.noise * prompt.std(dim=-1, keepdim=True)
        total: torch.Tensor | float = 0.0
        for part in range(self.samples):
            place = (part + torch.rand((), generator=random).item()) / self.samples
            noisy = prompt + spread * torch.randn(prompt.shape, generator=random).to(prompt)
            total = total + derivatives.per_token(place * noisy, noisy)
        return torch.as_tensor(total) / self.samples
