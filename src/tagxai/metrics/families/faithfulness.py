"""What metrics of faithfulness by scoring share: a game of words whose outcome is the clip's log-probability.

An explanation ranks the prompt's words by their mean score over the clip. The game's value of a set of words is the
mean log-probability, in nats a code, of the clip's own codes when these words alone are kept. Tokens of no word
(`</s>`) are always kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from jaxtyping import Bool, Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.lazy import torch
from tagxai.scoring import Operator, score
from tagxai.text.words import Unit

SetValue = Callable[[Any], Any]
"""Sets of words `[coalitions, words]` to what each is worth `[coalitions]`."""


class WordGame(NamedTuple):
    """The explanation's scores of the words, and what sets of them are worth."""

    scores: Float[torch.Tensor, " words"]
    value: SetValue


@dataclass(frozen=True)
class ScoringMetric(Metric):
    """A metric that takes words away and scores the original codes again: nothing is generated."""

    family: ClassVar[str] = "faithfulness by scoring"

    operator: Operator = "delete"
    """How words are taken away; `delete` asks for their total effect and needs nothing of the generator."""

    def game(
        self, generator: Generator, generation: Generation, units: tuple[Unit, ...], scores: torch.Tensor
    ) -> WordGame:
        if self.operator not in ("delete", "null") and "attention" not in generator.offers:
            raise UnsupportedError(
                f"metric {self.name!r} with the operator {self.operator!r} needs attention, which generator "
                f"{generator.name!r} does not offer; choices: delete, null"
            )

        def value(masks: Bool[torch.Tensor, "coalitions words"]) -> Float[torch.Tensor, " coalitions"]:
            table = score(generator, generation, units, masks, operator=self.operator)
            return table.log_prob.double().mean((1, 2))

        return WordGame(scores.double().cpu(), value)

    def word_game(self, generator: Generator, generation: Generation, attribution: Attribution) -> WordGame:
        """The game of the prompt's words."""
        return self.unit_game(generator, generation, attribution, attribution.words())

    def unit_game(
        self, generator: Generator, generation: Generation, attribution: Attribution, units: tuple[Unit, ...]
    ) -> WordGame:
        spoken = tuple(unit for unit in units if not unit.special)
        return self.game(generator, generation, spoken, attribution.over_time(spoken).mean(1))


def whole_effect(value: SetValue, words: int) -> tuple[float, float]:
    """The value of all words, and how much it exceeds that of none.

    Raises TagxaiError where the prompt changes nothing, because nothing can be normalised by zero.
    """
    every, none = value(torch.tensor([[True], [False]]).expand(2, words)).tolist()
    if abs(every - none) < 1e-6:
        raise TagxaiError("without its words the prompt's clip is as likely as with them, so no ranking matters")
    return every, every - none
