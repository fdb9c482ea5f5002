"""Pairs of captions, of which one changes an event or a word: does an explanation follow the change?

Activation patching compares a model under a clean and a corrupted prompt; TADA (Staniszewski et al. 2026, arXiv
2602.11910) makes such pairs from MusicCaps, to find the layers of music models that act on an instrument or a mood.
Here the pair tests explanations in words, as the twin test does where the truth is known: the clip of the changed
caption lacks what the clean caption's own words ask for (`changed_share`), and at some moments the model prefers the
clean caption (`changed_time`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar
from weakref import WeakKeyDictionary

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.identity import changes
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric, Metric
from tagxai.contract.request import Request
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError
from tagxai.metrics.families.rank_correlation import rank_correlation
from tagxai.metrics.families.shares import share_of_words
from tagxai.scoring.questions import prompt_contrast
from tagxai.text.differing import differing

_clips: WeakKeyDictionary[Generator, WeakKeyDictionary[Generation, tuple[tuple[str, object], Generation]]] = (
    WeakKeyDictionary()
)
"""The clip of each clip's changed caption, with the caption and the version of the model that made it: every method is
asked about the same."""


def clip_of_changed(generator: Generator, generation: Generation, changed: str) -> Generation:
    """The clip that the changed caption makes from the same seed, presented as one of the clean caption."""
    clips, wanted = _clips.setdefault(generator, WeakKeyDictionary()), (changed, changes(generator.modules().values()))
    known = clips.get(generation)
    if known is None or known[0] != wanted:
        (other,) = generator.generate_many([Request.again(generation, prompt=changed)])
        known = wanted, replace(generation, record=other.record, waveform=other.waveform, timeline=other.timeline)
        clips[generation] = known
    return known[1]


def changed_words(attribution: Attribution, changed: str) -> tuple[int, ...]:
    """The places among the attribution's words of those that the changed caption replaces or leaves out.

    Raises NotApplicableError where there are none.
    """
    mine = differing(attribution.words(), changed)
    if not mine:
        prompt = attribution.generation.prompt
        raise NotApplicableError(f"{changed!r} replaces no word of {prompt!r}; it needs a word for another")
    return mine


def share_of_changed(attribution: Attribution, changed: str) -> float:
    """What the words that the changed caption replaces have of the positive scores of all words of meaning.

    Raises NotApplicableError where the changed caption replaces none of the words, or leaves none to compare with.
    """
    units, mine = attribution.words(), changed_words(attribution, changed)
    others = [i for i, unit in enumerate(units) if not (unit.special or unit.function) and i not in mine]
    if not others:
        prompt = attribution.generation.prompt
        raise NotApplicableError(
            f"{changed!r} leaves no word of meaning of {prompt!r} to compare the changed ones with"
        )
    return share_of_words(attribution.over_time(units), mine, [*mine, *others])


def relative_difference(first: float, second: float) -> float:
    """(first - second) / (first + second) of two shares; 0 where both are 0.

    >>> relative_difference(0.25, 0.0), relative_difference(0.5, 0.25), relative_difference(0.0, 0.0)
    (1.0, 0.3333333333333333, 0.0)
    """
    return (first - second) / (first + second) if first + second else 0.0


@dataclass(frozen=True)
class ChangedShare(MethodMetric):
    """Pairs: the share of the words that a changed caption replaces, in their own clip against in its clip."""

    name: ClassVar[str] = "changed_share"
    family: ClassVar[str] = "localisation"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "1 clip, shared by all methods, and 1 explanation"

    changed: str = ""
    """The caption with an event or a word changed; in a benchmark, each prompt's own, from its column `changed`."""

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        """`relative_difference` of the two shares; both clips are explained by the clean caption.

        Raises NotApplicableError where there is no changed caption, or it does not replace some of several words.
        """
        check_changed(self, generation)
        share = share_of_changed(attribution, self.changed)
        other = method.attribute(generator, clip_of_changed(generator, generation, self.changed))
        return relative_difference(share, share_of_changed(other, self.changed))


@dataclass(frozen=True)
class ChangedTime(Metric):
    """Pairs: do the replaced words score when the model tells the two captions apart? Rank correlation over frames."""

    name: ClassVar[str] = "changed_time"
    family: ClassVar[str] = "faithfulness by scoring"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "1 pass of 2 rows"

    changed: str = ""
    """The caption with an event or a word changed; in a benchmark, each prompt's own, from its column `changed`."""

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        """Spearman's correlation, over the clip's generated frames, of the summed scores of the replaced words and of
        log p(codes | the caption) - log p(codes | the changed caption); 0 for scores that do not change in time.

        Raises NotApplicableError where there is no changed caption, it replaces no word, or the clip's codes are as
        likely under both all the time.
        """
        check_changed(self, generation)
        units = attribution.words()
        words = attribution.over_time([units[i] for i in changed_words(attribution, self.changed)])
        contrast = prompt_contrast(generator, generation, self.changed).difference.double().mean(0)
        if not contrast[generation.given :].any():
            raise NotApplicableError(f"the model's clip of {generation.prompt!r} is as likely under {self.changed!r}")
        both = (words.double().sum(0).cpu(), contrast)
        return rank_correlation(*(values[generation.given :] for values in both)) or 0.0


def check_changed(metric: ChangedShare | ChangedTime, generation: Generation) -> None:
    """Raises NotApplicableError where a metric of pairs has no changed caption."""
    if not metric.changed.strip():
        raise NotApplicableError(
            f"metric {metric.name!r} needs a changed caption of {generation.prompt!r}, in a column `changed` beside it"
        )
