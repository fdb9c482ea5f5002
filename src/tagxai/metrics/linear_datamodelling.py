"""Linear datamodelling score: do sums of scores rank sets of words as the model does? (Park et al., "TRAK", ICML 2023.)

For context attribution, as here: Cohen-Wang et al., "ContextCite", NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import Bool, Float, torch
from tagxai.metrics.families.faithfulness import ScoringMetric
from tagxai.metrics.families.rank_correlation import rank_agreement
from tagxai.metrics.families.word_sets import random_sets


def linear_datamodelling(
    scores: Float[torch.Tensor, " words"],
    masks: Bool[torch.Tensor, "coalitions words"],
    values: Float[torch.Tensor, " coalitions"],
) -> float:
    """The rank correlation, over sets of words, of the sum of their scores and of what they are worth.

    >>> import torch
    >>> masks = torch.tensor([[True, False], [False, True], [True, True]])
    >>> linear_datamodelling(torch.tensor([1.0, 2.0]), masks, torch.tensor([-3.0, -2.0, -1.0]))
    1.0
    """
    return rank_agreement(masks.to(scores) @ scores, values)


@dataclass(frozen=True)
class LinearDatamodelling(ScoringMetric):
    """Faithfulness: rank correlation of summed scores and log-probability, over random sets of words (LDS, 2023)."""

    name: ClassVar[str] = "linear_datamodelling"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "`samples` passes"

    samples: int = 64
    seed: int = 20_000
    """Seed of the sets' draws; methods use other seeds, so these sets are held out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("samples", self.samples >= 2, "at least 2")

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        scores, value = self.word_game(generator, generation, attribution)
        masks = random_sets(len(scores), self.samples, self.seed)
        return linear_datamodelling(scores, masks, value(masks))
