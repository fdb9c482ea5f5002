"""Gradient SHAP, or expected gradients (Erion et al., Nature Machine Intelligence 2021; Lundberg & Lee, NeurIPS 2017).

Integrated gradients whose integral is drawn at random: a point between the null condition and a noisy copy of the
prompt, many times. The points are stratified, one in each of as many equal parts of the path, which leaves the
expectation as it is and makes its error smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import torch
from tagxai.methods.families.noisy_gradient import NoisyGradientMethod
from tagxai.probing.derivatives import Derivatives


@dataclass(frozen=True)
class GradientShap(NoisyGradientMethod):
    """Gradient SHAP: expected gradients between no prompt and noisy copies of the prompt (Erion et al., 2021)."""

    name: ClassVar[str] = "gradient_shap"
    expense: ClassVar[str] = "samples x tokens, in forward mode (tokens in batches)"
    complete: ClassVar[bool] = True

    samples: int = 12
    """Points that are drawn between the null condition and the prompt."""
    noise: float = 0.1
    """Standard deviation of the noise on the prompt, as a share of that of each token's embedding."""

    def sample(self, derivatives: Derivatives, number: int, random: torch.Generator) -> torch.Tensor:
        place = (number + torch.rand((), generator=random).item()) / self.samples
        noisy = self.noisy(derivatives.embeddings, random)
        return derivatives.per_token(place * noisy, noisy)
