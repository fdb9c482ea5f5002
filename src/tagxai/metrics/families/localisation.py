"""What metrics of localisation share: scores laid over the truth word by word.

Every metric is a function of `scores[words, frames]` and `truth[words, frames]`; ties are fair (`families.ties`), so
the chance level is `metric(torch.ones(...), truth)`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.metric import Metric
from tagxai.contract.truth import Level, Truth, WordKind
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError
from tagxai.lazy import Bool, Float, torch

Gaps = Literal["false", "neither"]
"""What the silence between a word's own sounds is: false, or neither true nor false."""


def align(
    attribution: Attribution, truth: Truth, kind: WordKind = "event", gaps: Gaps = "false"
) -> tuple[
    Float[torch.Tensor, "words frames"], Bool[torch.Tensor, "words frames"], Bool[torch.Tensor, " words *cells"]
]:
    """Scores, truth and which words count, for the words of one kind; with `gaps="neither"`, which cells count.

    Tokens of no word (`</s>`) are one more row, true nowhere. Raises NotApplicableError where no word of the
    kind is causal.
    """
    units = truth.units(attribution.generation)
    mask, scored = (truth.rows if gaps == "false" else truth.cells)(kind, len(units))
    if not mask.any():
        raise NotApplicableError(f"no {kind} word is known to make sound in {attribution.generation.prompt!r}")
    return attribution.over_time(units).cpu(), mask, scored


@dataclass(frozen=True)
class Localisation(Metric):
    """A metric of scores against the truth of one kind of words; 1 is best, and 0 worst."""

    family: ClassVar[str] = "localisation"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    needs: ClassVar[frozenset[Capability]] = frozenset({"truth"})

    kind: WordKind = "event"
    """Whose truth: of words that name events, or of attributes, counts ... Causal words of other kinds do not count."""

    level: Level = "word"
    """Confirmed by which intervention: on the `word`, on its own tokens in the cross-`attention`, or on these in one
    short window at a time (`now`)."""

    gaps: Gaps = "false"
    """Whether silence between a word's own sounds is `false`, or `neither` true nor false."""

    @staticmethod
    @abstractmethod
    def formula(
        scores: Float[torch.Tensor, "words frames"],
        truth: Bool[torch.Tensor, "words frames"],
        scored: Bool[torch.Tensor, " words *cells"] | None = None,
    ) -> float: ...

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        self.check_supported(generator)
        truth = generator.truth(generation, self.level)
        if truth is None:
            raise NotApplicableError(
                f"metric {self.name!r} needs the truth, which generator {generator.name!r} does not know for "
                f"{generation.prompt!r}"
            )
        return self.formula(*align(attribution, truth, self.kind, self.gaps))
