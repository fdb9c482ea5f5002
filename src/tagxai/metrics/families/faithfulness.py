"""What metrics of faithfulness by scoring share: a game of words whose outcome is the clip's log-probability.

An explanation ranks the prompt's words by their mean score over the clip. The game's value of a set of words is the
mean log-probability, in nats a code, of the clip's own codes when these words alone are kept. Tokens of no word
(`</s>`) are always kept.

Words that say the same as a neighbour hide each other from deletion: "dog barks" without "dog" is still a dog. Two
options see through this. With `units="event"` all words of an event are one unit of the game; with `beside`, a set of
words is removed beside the absence of each near word as well, and the larger loss counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError, UnsupportedError
from tagxai.lazy import Bool, Float, torch
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
    units: Literal["word", "event"] = "word"
    """The players: single words, or all words of an event together (phrases, where no truth says which these are)."""
    beside: int = 0
    """Remove words also beside the absence of each word at most so far from one of them, and keep the largest loss."""

    def __post_init__(self) -> None:
        self.require("beside", self.beside >= 0, "at least 0")

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

        return WordGame(scores.double().cpu(), beside_absences(value, self.beside) if self.beside else value)

    def word_game(self, generator: Generator, generation: Generation, attribution: Attribution) -> WordGame:
        """The game of the prompt's words, or of its events."""
        return self.unit_game(generator, generation, attribution, self.players(generator, generation, attribution))

    def players(self, generator: Generator, generation: Generation, attribution: Attribution) -> tuple[Unit, ...]:
        return attribution.words() if self.units == "word" else event_units(generator, generation, attribution)

    def unit_game(
        self, generator: Generator, generation: Generation, attribution: Attribution, units: tuple[Unit, ...]
    ) -> WordGame:
        spoken = tuple(unit for unit in units if not unit.special)
        return self.game(generator, generation, spoken, attribution.over_time(spoken).mean(1))


def event_units(generator: Generator, generation: Generation, attribution: Attribution) -> tuple[Unit, ...]:
    """Each event's words as one unit, from the first to the last, and the other words; without truth, phrases."""
    truth = generator.truth(generation) if "truth" in generator.offers else None
    if truth is None:
        return attribution.phrases()
    spans: dict[int, tuple[int, int]] = {}
    for word in truth.words:
        if word.event is not None:
            start, end = spans.get(word.event, (word.start, word.end))
            spans[word.event] = (min(start, word.start), max(end, word.end))
    units: dict[object, list[Unit]] = {}
    for unit in attribution.words():
        event = next((e for e, (start, end) in spans.items() if unit.start < end and start < unit.end), None)
        units.setdefault(unit if event is None or unit.special else event, []).append(unit)
    joined = (
        Unit(generation.prompt[mine[0].start : mine[-1].end], mine[0].start, mine[-1].end, _tokens(mine))
        if len(mine) > 1
        else mine[0]
        for mine in units.values()
    )
    return tuple(sorted(joined, key=lambda unit: (unit.special, unit.start)))


def _tokens(units: list[Unit]) -> tuple[int, ...]:
    return tuple(sorted(token for unit in units for token in unit.tokens))


def beside_absences(value: SetValue, distance: int) -> SetValue:
    """The game whose loss for removing words is the largest of their own and, for each kept word at most `distance`
    from one of them, of what their removal costs beside that word's absence.

    >>> import torch
    >>> either = lambda kept: kept.any(1).double()  # two words that say the same
    >>> beside_absences(either, 4)(torch.tensor([[True, True], [False, True], [False, False]])).tolist()
    [1.0, 0.0, 0.0]
    """

    def beside(masks: Bool[torch.Tensor, "coalitions words"]) -> Float[torch.Tensor, " coalitions"]:
        n = masks.shape[1]
        near = torch.stack([(~masks[:, max(0, j - distance) : j + distance + 1]).any(1) for j in range(n)], 1)
        row, word = (masks & near).nonzero(as_tuple=True)
        fewer = masks[row]
        fewer[torch.arange(len(row)), word] = False
        alone = ~torch.eye(n, dtype=torch.bool)
        worth = value(torch.cat([masks, torch.ones(1, n, dtype=torch.bool), alone, fewer]))
        own, (every,), without, both = worth.split([len(masks), 1, n, len(fewer)])
        lost = every - own
        lost = lost.scatter_reduce(0, row.to(lost.device), without[word] - both, "amax")
        return every - lost

    return beside


def whole_effect(value: SetValue, words: int) -> tuple[float, float]:
    """The value of all words, and how much it exceeds that of none.

    Raises NotApplicableError where the prompt changes nothing, because nothing can be normalised by zero.
    """
    every, none = value(torch.tensor([[True], [False]]).expand(2, words)).tolist()
    if abs(every - none) < 1e-6:
        raise NotApplicableError("without its words the prompt's clip is as likely as with them, so no ranking matters")
    return every, every - none
