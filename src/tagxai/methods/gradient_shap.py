"""Gradient SHAP, or expected gradients (Erion et al., Nature Machine Intelligence 2021; Lundberg & Lee, NeurIPS 2017).

Integrated gradients whose integral is drawn at random: a point between the null condition and a noisy copy of the
prompt, many times. The points are stratified, one in each of as many equal parts of the path, which leaves the
expectation as it is and makes its error smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload
from tagxai.lazy import torch
from tagxai.probing.derivatives import Derivatives, GradientTarget, Mode


@dataclass(frozen=True)
class GradientShap(Method):
    """Gradient SHAP: expected gradients between no prompt and noisy copies of the prompt (Erion et al., 2021)."""

    name: ClassVar[str] = "gradient_shap"
    needs = frozenset({"gradients"})
    passes = "samples x tokens, in forward mode (tokens in batches)"

    samples: int = 12
    """Points that are drawn between the null condition and the prompt."""
    noise: float = 0.1
    """Standard deviation of the noise on the prompt, as a share of that of each token's embedding."""
    seed: int = 0
    target: GradientTarget = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""
    mode: Mode = "auto"
    """Of differentiation: `auto` takes forward mode where there are more codes than tokens, else reverse mode."""

    def __post_init__(self) -> None:
        self.require("samples", self.samples >= 1, "at least 1")
        self.require("noise", self.noise >= 0, "at least 0")

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        work = Derivatives(
            generator, generation, target=self.target, mode=self.mode, calls=self.samples, on_progress=on_progress
        )
        prompt = work.embeddings
        random = torch.Generator().manual_seed(self.seed)
        spread = self.noise * prompt.std(dim=-1, keepdim=True)
        total: torch.Tensor | float = 0.0
        for part in range(self.samples):
            place = (part + torch.rand((), generator=random).item()) / self.samples
            noisy = prompt + spread * torch.randn(prompt.shape, generator=random).to(prompt)
            total = total + work.per_token(place * noisy, noisy)
        return work.attribution(self, torch.as_tensor(total) / self.samples, complete=True)

    def memory(self, work: Workload) -> int:
        return work.tangents(work.tokens)
