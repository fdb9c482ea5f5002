"""SmoothGrad: the gradient averaged over noisy copies of the prompt (Smilkov et al., 2017).

Its scores are the averaged gradient times the embedding (signed: a direction a token, so forward mode), or its length
(all dimensions, as saliency). The noise is measured against the spread of the prompt's own embeddings, by token: the
paper's 10-20 % of an image's range of values is about half of its standard deviation, while the range of an embedding
is that of a few extreme dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float

from tagxai.contract.workload import Workload
from tagxai.lazy import torch
from tagxai.methods.families.gradient import GradientMethod
from tagxai.probing.derivatives import Derivatives


@dataclass(frozen=True)
class SmoothGrad(GradientMethod):
    """SmoothGrad: every code's gradient, averaged over noisy copies of the prompt (Smilkov et al., 2017)."""

    name: ClassVar[str] = "smooth_grad"
    expense: ClassVar[str] = "samples x tokens, in forward mode; with score=length, samples x saliency's"

    score: Literal["input", "length"] = "input"
    """What becomes of a token's averaged gradient: its product with the embedding (signed), or its length."""
    samples: int = 16
    """Noisy copies of the prompt."""
    noise: float = 0.5
    """Standard deviation of the noise, as a share of that of each token's embedding."""
    seed: int = 0
    """Seed of the noise."""

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
        for _ in range(self.samples):
            noisy = prompt + spread * torch.randn(prompt.shape, generator=random).to(prompt)
            signed = self.score == "input"
            total = total + (derivatives.per_token(noisy, prompt) if signed else derivatives.jacobian(noisy))
        mean = torch.as_tensor(total) / self.samples
        return mean if self.score == "input" else mean.norm(dim=-1)

    def peak_memory(self, work: Workload) -> int:
        return work.backward(2)
