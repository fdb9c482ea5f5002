"""Input x gradient of every code (Shrikumar et al., "Not Just a Black Box", 2016), exact, in one forward-mode pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import Float, torch
from tagxai.methods.families.gradient import GradientMethod
from tagxai.probing.derivatives import Derivatives


@dataclass(frozen=True)
class InputXGradient(GradientMethod):
    """Input x gradient: each token's embedding times its derivative, for every code (Shrikumar et al., 2016)."""

    name: ClassVar[str] = "input_x_gradient"
    expense: ClassVar[str] = "tokens, in forward mode (in batches)"

    def scores(self, derivatives: Derivatives) -> Float[torch.Tensor, "streams frames tokens"]:
        prompt = derivatives.embeddings
        return derivatives.per_token(prompt, prompt)
