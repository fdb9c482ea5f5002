"""Max-sensitivity: how far an explanation can move with the text's embeddings (Yeh et al., NeurIPS 2019, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric
from tagxai.contract.values import Conditioning, Generation
from tagxai.errors import NotApplicableError
from tagxai.lazy import torch


@dataclass(frozen=True)
class MaxSensitivity(MethodMetric):
    """Robustness: the largest relative change of an explanation by noise on the embeddings (Yeh et al. 2019)."""

    name: ClassVar[str] = "max_sensitivity"
    family: ClassVar[str] = "robustness"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    expense: ClassVar[str] = "`samples` explanations"

    radius: float = 0.1
    """Largest absolute value of the uniform noise, in units of the embeddings' root mean square."""
    samples: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        self.require("radius", self.radius > 0, "positive")
        self.require("samples", self.samples >= 1, "at least 1")

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        """max |scores with noise - scores| / |scores|, in the Euclidean norm, over draws of the noise."""
        size = attribution.scores.double().norm()
        moved = []
        for i in range(self.samples):
            noisy = method.attribute(with_noise(generator, self.radius, self.seed + i), generation)
            moved.append((noisy.scores.double() - attribution.scores.double()).norm())
        largest = float(torch.stack(moved).max())
        if largest and not size:
            raise NotApplicableError("scores that are all zero have no relative change")
        return largest / float(size) if largest else 0.0


def with_noise(generator: Generator, radius: float, seed: int) -> Generator:
    """The same model, which reads prompts with noise on their embeddings: a token at one place always has the same."""
    noisy = copy(generator)  # shares the model

    def encode_prompt(prompts: Sequence[str]) -> Conditioning:
        encoded = generator.encode_prompt(prompts)
        clean = encoded.embeddings
        random = torch.Generator().manual_seed(seed)
        noise = torch.stack([2 * torch.rand(clean.shape[2], generator=random) - 1 for _ in range(clean.shape[1])])
        scale = radius * clean[encoded.mask].square().mean().sqrt()
        return replace(encoded, embeddings=clean + scale * noise.to(clean) * encoded.mask[..., None])

    noisy.encode_prompt = encode_prompt  # type: ignore[method-assign]
    return noisy
