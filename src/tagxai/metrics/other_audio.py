"""Same prompt, other audio: an explanation must change with the clip (after Adebayo et al., NeurIPS 2018, section 3).

AudioGenX claims so of itself: two clips of one prompt, one of them without the bird, are explained differently (Kang
et al. 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar
from weakref import WeakKeyDictionary

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.identity import changes
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric
from tagxai.contract.request import Request
from tagxai.contract.values import Generation
from tagxai.metrics.families.rank_correlation import explanation_agreement

_others: WeakKeyDictionary[Generator, WeakKeyDictionary[Generation, tuple[int, Generation]]] = WeakKeyDictionary()
"""The other audio of a clip, with the version of the model that made it: every method is asked about the same."""


def other_audio(generator: Generator, generation: Generation) -> Generation:
    """A clip that was sampled without the prompt, presented as one of it."""
    others, version = _others.setdefault(generator, WeakKeyDictionary()), changes(generator.modules().values())
    known = others.get(generation)
    if known is None or known[0] != version:
        request = Request.again(generation, seed=generation.seed + 1, branch="unconditional")
        (other,) = generator.generate_many([request])
        known = version, replace(generation, record=other.record, waveform=other.waveform)
        others[generation] = known
    return known[1]


@dataclass(frozen=True)
class OtherAudio(MethodMetric):
    """Randomisation: likeness to the explanation of audio that was sampled without the prompt (Adebayo et al. 2018)."""

    name: ClassVar[str] = "other_audio"
    family: ClassVar[str] = "randomisation"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "1 clip, shared by all methods, and 1 explanation"

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        """The rank correlation over tokens x frames; the prompt of both is the same."""
        other = other_audio(generator, generation)
        return explanation_agreement(method.attribute(generator, other), attribution)
