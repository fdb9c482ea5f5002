"""SmoothGrad: the gradient averaged over noisy copies of the prompt (Smilkov et al., 2017).

Its scores are the averaged gradient times the embedding (signed: a direction a token, so forward mode), or its length
(all dimensions, as saliency). The noise is measured against the spread of the prompt's own embeddings, by token: the
paper's 10-20 % of an image's range of values is about half of its standard deviation, while the range of an embedding
is that of a few extreme dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tagxai.contract.workload import Workload
from tagxai.lazy import Float, torch
from tagxai.methods.families.noisy_gradient import NoisyGradientMethod
from tagxai.probing.derivatives import Derivatives


@dataclass(frozen=True)
class SmoothGrad(NoisyGradientMethod):
    """SmoothGrad: every code's gradient, averaged over noisy copies of the prompt (Smilkov et al., 2017)."""

    name: ClassVar[str] = "smooth_grad"
    expense: ClassVar[str] = "samples x tokens, in forward mode; with score=length, samples x saliency's"

    score: Literal["input", "length"] = "input"
    """What becomes of a token's averaged gradient: its product with the embedding (signed), or its length."""

    def sample(self, derivatives: Derivatives, number: int, random: torch.Generator) -> torch.Tensor:
        prompt = derivatives.embeddings
        noisy = self.noisy(prompt, random)
        return derivatives.per_token(noisy, prompt) if self.score == "input" else derivatives.jacobian(noisy)

    def scores(self, derivatives: Derivatives) -> Float[torch.Tensor, "streams frames tokens"]:
        mean = super().scores(derivatives)
        return mean if self.score == "input" else mean.norm(dim=-1)

    def peak_memory(self, work: Workload) -> int:
        return work.backward(2)
