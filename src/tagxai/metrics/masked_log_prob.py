"""What a mask keeps of the clip's log-probability, and what it loses: in one teacher-forced pass, without sampling.

KL_F and KL_CF (Kang et al. 2025) ask how clips sound that are sampled under a mask or its opposite. Here the clip's own
outcomes are scored under both, which has no noise: masks keep the same share of the tokens at every step, so that no
method gains by keeping more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from tagxai.contract.attention import edit_attention
from tagxai.contract.attribution import Attribution
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError
from tagxai.lazy import torch
from tagxai.metrics.families.regeneration import top_share
from tagxai.probing.edits import Gate


def shares(whole: float, kept: float, left: float, none: float) -> tuple[float, float]:
    """What the mask keeps of `whole - none`, and what its opposite has lost of it.

    >>> shares(whole=-1.0, kept=-2.0, left=-5.0, none=-5.0)
    (0.75, 1.0)
    """
    effect = abs(whole - none)
    if effect < 1e-6:
        raise NotApplicableError("without its words the prompt's clip is as likely as with them, so no mask matters")
    return (kept - none) / effect, (whole - left) / effect


@dataclass(frozen=True)
class _MaskedLogProb(Metric):
    family: ClassVar[str] = "faithfulness by scoring"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    expense: ClassVar[str] = "1 pass of 4 rows"

    size: float = 0.5
    """The share of tokens that a mask keeps at every step."""

    def __post_init__(self) -> None:
        self.require("size", 0 <= self.size <= 1, "from 0 to 1")

    def both(self, generator: Generator, generation: Generation, attribution: Attribution) -> tuple[float, float]:
        """The shares of the log-probability that the mask keeps and that its opposite loses."""
        self.check_supported(generator)
        mask = top_share(attribution.to_mask(), self.size)
        gates = torch.stack([torch.ones_like(mask), mask, 1 - mask, torch.zeros_like(mask)])
        conditioning = conditioning_of(generator, generation)
        with (
            torch.no_grad(),
            edit_attention(generator.cross_attention(), Gate(gates.to(conditioning.embeddings.device))),
        ):
            log_prob = generator.forward(generation, conditioning.expand(len(gates))).log_prob
        return shares(*log_prob.double().mean((1, 2)).tolist())


@dataclass(frozen=True)
class KeptLogProb(_MaskedLogProb):
    """Faithfulness: share of the prompt's effect on the clip's log-probability that the best half of tokens keeps."""

    name: ClassVar[str] = "kept_log_prob"

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return self.both(generator, generation, attribution)[0]


@dataclass(frozen=True)
class LostLogProb(_MaskedLogProb):
    """Faithfulness: share of the prompt's effect on the clip's log-probability lost without the best half of tokens."""

    name: ClassVar[str] = "lost_log_prob"

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return self.both(generator, generation, attribution)[1]
