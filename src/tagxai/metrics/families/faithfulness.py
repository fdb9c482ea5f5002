"""What metrics of faithfulness by scoring share: a game of words whose outcome is the clip's log-probability.

An explanation ranks the prompt's words by their mean score over the clip. The game's value of a set of words is the
mean log-probability, in nats a code, of the clip's own codes when these words alone are kept. Tokens of no word
(`</s>`) are always kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from jaxtyping import Bool, Float, Int

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.lazy import torch
from tagxai.scoring import Operator, score
from tagxai.text.words import Unit

Value = Callable[[Any], Any]
"""Sets of words to what they are worth."""


class Game(NamedTuple):
    """The explanation's scores of the words, and what sets of them are worth."""

    scores: Float[torch.Tensor, " words"]
    value: Value


@dataclass(frozen=True)
class ScoringMetric(Metric):
    """A metric that takes words away and scores the original codes again: nothing is generated."""

    family: ClassVar[str] = "faithfulness by scoring"

    operator: Operator = "delete"
    """How words are taken away; `delete` asks for their total effect and needs nothing of the generator."""

    def game(self, generator: Generator, generation: Generation, units: tuple[Unit, ...], scores: torch.Tensor) -> Game:
        if self.operator not in ("delete", "null") and "attention" not in generator.offers:
            raise UnsupportedError(
                f"metric {self.name!r} with the operator {self.operator!r} needs attention, which generator "
                f"{generator.name!r} does not offer; choices: delete, null"
            )

        def value(masks: Bool[torch.Tensor, "coalitions words"]) -> Float[torch.Tensor, " coalitions"]:
            table = score(generator, generation, units, masks, operator=self.operator)
            return table.log_prob.double().mean((1, 2))

        return Game(scores.double().cpu(), value)

    def word_game(self, generator: Generator, generation: Generation, attribution: Attribution) -> Game:
        """The game of the prompt's words."""
        return self.unit_game(generator, generation, attribution, attribution.words())

    def unit_game(
        self, generator: Generator, generation: Generation, attribution: Attribution, units: tuple[Unit, ...]
    ) -> Game:
        spoken = tuple(unit for unit in units if not unit.special)
        return self.game(generator, generation, spoken, attribution.over_time(spoken).mean(1))


def rankings(scores: Float[torch.Tensor, " words"]) -> Int[torch.Tensor, "orders words"]:
    """The words, best first: equal ones in the prompt's order and, if there are any, also in its reverse.

    A mean over both is fair to equal words as far as two orders can be: that of all equal scores is exactly a ranking
    and its reverse.

    >>> import torch
    >>> rankings(torch.tensor([1.0, 3.0, 1.0])).tolist()
    [[1, 0, 2], [1, 2, 0]]
    """
    first = scores.argsort(descending=True, stable=True)
    second = len(scores) - 1 - scores.flip(0).argsort(descending=True, stable=True)
    return torch.stack([first, second]).unique(dim=0)


def best(order: Int[torch.Tensor, " words"]) -> Bool[torch.Tensor, "sizes words"]:
    """Row k keeps the first k words of an order, from none to all.

    >>> import torch
    >>> best(torch.tensor([1, 0])).int().tolist()
    [[0, 0], [0, 1], [1, 1]]
    """
    return order.argsort() < torch.arange(len(order) + 1)[:, None]


def effect(value: Value, words: int) -> tuple[float, float]:
    """The value of all words, and what it is above that of none. Raises TagxaiError where the prompt changes nothing,
    for then nothing can be normalised by it."""
    every, none = value(torch.tensor([[True], [False]]).expand(2, words)).tolist()
    if abs(every - none) < 1e-6:
        raise TagxaiError("without its words the prompt's clip is as likely as with them, so no ranking matters")
    return every, every - none


def subsets(words: int, samples: int, seed: int) -> Bool[torch.Tensor, "coalitions words"]:
    """`samples` sets that hold each word with probability 1/2."""
    return torch.rand(samples, words, generator=torch.Generator().manual_seed(seed)) < 0.5


def retaining(scores: Float[torch.Tensor, " words"], share: float = 0.5) -> Float[torch.Tensor, " words"]:
    """Scores as probabilities of keeping each word, of which `share` is the mean: no explanation keeps more than
    another. They rise in proportion from 0 for the lowest score, and stop at 1; equal scores are all `share`.

    >>> import torch
    >>> retaining(torch.tensor([0.0, 1.0, 1.0, 4.0])).tolist()
    [0.0, 0.5, 0.5, 1.0]
    >>> retaining(torch.tensor([0.0, 0.0, 0.0, 9.0])).tolist()  # one is certain
    [0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 1.0]
    """
    budget = share * len(scores)
    height = scores.double() - scores.double().min()
    if not height.any():
        return torch.full_like(height, share)
    height = height / height.max()
    positive = height > 0
    certain = int(positive.sum())
    if certain <= budget:  # these are kept for sure, and the others share what is left
        return positive + (~positive).to(height) * ((budget - certain) / (len(scores) - certain))
    full = torch.zeros_like(positive)
    while True:
        raised = height * (budget - full.sum()) / height[~full].sum()
        if not (~full & (raised > 1)).any():
            return torch.where(full, 1.0, raised)
        full |= raised > 1


def softly(scores: Float[torch.Tensor, " words"], share: float, samples: int, seed: int) -> torch.Tensor:
    """`samples` sets of words drawn with the probabilities `retaining`, from the same noise for every explanation."""
    noise = torch.rand(samples, len(scores), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise < retaining(scores, share)
