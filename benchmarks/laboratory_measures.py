"""What laboratory.py measures of one explanation, for one clip."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.benchmark import controls
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.truth import Truth, Twin, WordKind
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import make_method
from tagxai.laboratory.judging.single_words import SingleWord
from tagxai.laboratory.language.prompt import Prompt
from tagxai.metrics.best_word import hit, reciprocal_rank
from tagxai.metrics.families.localisation import Gaps, align
from tagxai.metrics.families.word_time import average_precision, pointing_game, relevance_mass, relevance_rank
from tagxai.metrics.twins import shares_of_missing

METRICS = {
    "hit@1": hit,
    "MRR": reciprocal_rank,
    "pointing game": pointing_game,
    "mass accuracy": relevance_mass,
    "rank accuracy": relevance_rank,
    "average precision": average_precision,
}
CELLS = ("pointing game", "mass accuracy", "rank accuracy", "average precision")
"""The metrics of word x time, which three-valued truth changes; the others rank words by their mean over the clip."""

CONTROLS = ("oracle", "degraded oracle")
KINDS: tuple[WordKind, ...] = ("event", "attribute", "count", "negation")


def method_of(label: str) -> Method:
    """A control, or a method from `NAME` or `NAME(key=value, ...)`. Raises TagxaiError."""
    if label in CONTROLS:
        return controls.CONTROLS[label]()
    name, _, settings = label.removesuffix(")").partition("(")
    pairs = (setting.partition("=") for setting in settings.split(",") if setting.strip())
    return make_method(name.strip(), {key.strip(): value.strip() for key, _, value in pairs})


def localisation(explanation: Attribution, truth: Truth, gaps: Gaps = "false") -> dict[str, dict[str, float]]:
    """Every metric for every kind of word that is known to act in this clip."""
    figures: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        try:
            scores, mask, scored = align(explanation, truth, kind, gaps)
        except TagxaiError:  # no such word
            continue
        names = METRICS if gaps == "false" else CELLS
        figures[kind] = {name: round(METRICS[name](scores, mask, scored), 6) for name in names}
    return figures


def importance(explanation: Attribution, prompt: Prompt) -> dict[str, float]:
    """The mean score over the clip of the words of events to be heard, and of denied events.

    Each is a share of the highest score.
    """
    found: dict[str, list[float]] = {"present": [], "denied": [], "filler": []}
    scores = explanation.per_word()
    best = max(abs(score.score) for score in scores) or 1.0
    words = prompt.words()
    for score in scores:
        word = next((w for w in words if w.start_char < score.unit.end and score.unit.start < w.end_char), None)
        if word is None or score.unit.special:
            continue
        if word.kind == "event" and word.mention is not None:
            found["denied" if prompt.mentions[word.mention].absent else "present"].append(score.score / best)
        elif word.kind == "filler":
            found["filler"].append(score.score / best)
    return {name: sum(values) / len(values) for name, values in found.items() if values}


def of_twin(method: Method, generator: Generator, explanation: Attribution, twin: Twin) -> dict[str, float]:
    """The explanation of a clip that lacks an event: its precision, and the shares of the missing event's words."""
    other = method.attribute(generator, twin.generation)
    with_event, without = shares_of_missing(explanation, other, twin)
    return {
        "strict": round(average_precision(*align(other, twin.truth)), 6),
        "three-valued": round(average_precision(*align(other, twin.truth, gaps="neither")), 6),
        "in the clip": round(with_event, 6),
        "in the twin": round(without, 6),
    }


def of_single_words(explanation: Attribution, truth: Truth, tested: Sequence[SingleWord]) -> dict[str, list[float]]:
    """By role, the share of each tested word in the positive scores of its mention's words, times their number: 1 is
    an equal share. Of mentions whose words have different roles, since the shares of one mention add up."""
    means = explanation.over_time(truth.units(explanation.generation)).double().clamp(min=0).mean(1)
    shares: dict[str, list[float]] = {}
    for word in tested:
        same = [other for other in tested if other.mention == word.mention]
        mention = [other.word for other in same]
        total = float(means[mention].sum())
        if total and len({other.role for other in same}) > 1:
            shares.setdefault(word.role, []).append(round(float(means[word.word]) * len(mention) / total, 6))
    return shares
