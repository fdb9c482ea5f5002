"""What metrics of localisation share: scores laid over the truth word by word, and rankings in which ties are fair.

Every metric is a function of `scores[words, frames]` and `truth[words, frames]`. Equal scores are in random order:
a metric is its expected value over all orders, so it depends on no order of words or frames. A map of equal scores
therefore gets exactly what random scores get on average: the chance level is `metric(torch.ones(...), truth)`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from jaxtyping import Bool, Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.metric import Metric
from tagxai.contract.truth import Kind, Level, Truth
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.lazy import torch


class Ties(NamedTuple):
    """The ranking of some items, best first, as groups of equal scores: how many there are, and how many are true."""

    sizes: list[int]
    hits: list[int]


def ties(scores: Float[torch.Tensor, " items"], truth: Bool[torch.Tensor, " items"]) -> Ties:
    """Rank items by score.

    >>> import torch
    >>> ties(torch.tensor([0.0, 2.0, 0.0, 1.0]), torch.tensor([True, False, False, True]))
    Ties(sizes=[1, 1, 2], hits=[0, 1, 1])
    """
    values, group = scores.unique(return_inverse=True)
    counts = [torch.bincount(chosen, minlength=len(values)).flip(0).tolist() for chosen in (group, group[truth])]
    return Ties(*counts)


def scored_rows(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words"] | None = None,
) -> tuple[Float[torch.Tensor, "scored frames"], Bool[torch.Tensor, "scored frames"]]:
    """Scores and truth of the words that count. Raises ValueError where nothing is true, for then nothing is right."""
    if scored is not None:
        scores, truth = scores[scored], truth[scored]
    if not truth.any():
        raise ValueError("nothing is true of the words that count, so no explanation of them is right or wrong")
    return scores, truth


def over_clip(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words"] | None = None,
) -> Ties:
    """The words that count ranked by their mean over the clip; a word is true if it is true at some frame."""
    scores, truth = scored_rows(scores, truth, scored)
    return ties(scores.double().mean(1), truth.any(1))


def over_cells(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words"] | None = None,
) -> Ties:
    """Every word at every frame, ranked; of the words that count."""
    scores, truth = scored_rows(scores, truth, scored)
    return ties(scores.flatten(), truth.flatten())


def align(
    attribution: Attribution, truth: Truth, kind: Kind = "event"
) -> tuple[Float[torch.Tensor, "words frames"], Bool[torch.Tensor, "words frames"], Bool[torch.Tensor, " words"]]:
    """Scores, truth and which words count, for the words of one kind.

    Tokens of no word (`</s>`) are one more row, true nowhere. Raises TagxaiError where no word of the kind is causal.
    """
    units = truth.units(attribution.generation)
    mask, scored = truth.rows(kind, len(units))
    if not mask.any():
        raise TagxaiError(f"no {kind} word is known to make sound in {attribution.generation.prompt!r}")
    return attribution.over_time(units).cpu(), mask, scored


@dataclass(frozen=True)
class Localisation(Metric):
    """A metric of scores against the truth of one kind of words; 1 is best, and 0 worst."""

    family: ClassVar[str] = "localisation"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    needs: ClassVar[frozenset[Capability]] = frozenset({"truth"})

    kind: Kind = "event"
    """Whose truth: of words that name events, or of attributes, counts ... Causal words of other kinds do not count."""

    level: Level = "word"
    """Confirmed by which intervention: on the `word`, or on its own tokens in the cross-`attention`."""

    @staticmethod
    @abstractmethod
    def measure(
        scores: Float[torch.Tensor, "words frames"],
        truth: Bool[torch.Tensor, "words frames"],
        scored: Bool[torch.Tensor, " words"] | None = None,
    ) -> float: ...

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        self.check_supported(generator)
        truth = generator.truth(generation, self.level)
        if truth is None:
            raise TagxaiError(
                f"metric {self.name!r} needs the truth, which generator {generator.name!r} does not know for "
                f"{generation.prompt!r}"
            )
        return self.measure(*align(attribution, truth, self.kind))
