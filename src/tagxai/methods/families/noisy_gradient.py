"""The base of methods that average derivatives over noisy copies of the prompt."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from tagxai.lazy import Float, torch
from tagxai.methods.families.gradient import GradientMethod
from tagxai.probing.derivatives import Derivatives


@dataclass(frozen=True)
class NoisyGradientMethod(GradientMethod):
    """A method writes `sample`: what it takes of one noisy copy. Its scores are the mean."""

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

    @abstractmethod
    def sample(self, derivatives: Derivatives, number: int, random: torch.Generator) -> torch.Tensor:
        """The derivatives of copy number `number`."""

    def scores(self, derivatives: Derivatives) -> Float[torch.Tensor, "streams frames tokens *dim"]:
        random = torch.Generator().manual_seed(self.seed)
        samples = (self.sample(derivatives, number, random) for number in range(self.samples))
        return torch.as_tensor(sum(samples)) / self.samples

    def noisy(
        self, prompt: Float[torch.Tensor, "tokens dim"], random: torch.Generator
    ) -> Float[torch.Tensor, "tokens dim"]:
        """The prompt's embeddings with noise."""
        spread = self.noise * prompt.std(dim=-1, keepdim=True)
        return prompt + spread * torch.randn(prompt.shape, generator=random).to(prompt)
