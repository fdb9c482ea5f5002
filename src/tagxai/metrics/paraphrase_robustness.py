"""Robustness to wording: the same clip explained by another sentence for it (Alvarez-Melis & Jaakkola, WHI 2018)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError
from tagxai.metrics.families.rank_correlation import rank_agreement
from tagxai.text.words import Unit

TRIES = 50


@dataclass(frozen=True)
class ParaphraseRobustness(MethodMetric):
    """Robustness: likeness of the scores of the words that a paraphrase keeps, for the same audio."""

    name: ClassVar[str] = "paraphrase_robustness"
    family: ClassVar[str] = "robustness"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "1 explanation"

    given: Mapping[str, str] = field(default_factory=dict)
    """Prompts to their paraphrases; a prompt that is not in it is paraphrased by the laboratory's grammar."""
    seed: int = 0
    """Seed of the grammar's choice."""

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        """The rank correlation over shared words x frames. Shared are words of meaning that each prompt has once."""
        text = self.given.get(generation.prompt) or paraphrase(generation.prompt, self.seed)
        encoded = generator.encode_prompt([text])
        reworded = replace(generation, prompt=text, tokens=encoded.tokens[0], spans=encoded.spans[0])
        other = method.attribute(generator, reworded)
        mine, its = content_words(attribution), content_words(other)
        shared = [word for word in mine if word in its]
        if not shared:
            raise NotApplicableError(
                f"{generation.prompt!r} and its paraphrase {text!r} have no word of meaning in common"
            )
        return rank_agreement(
            attribution.over_time([mine[word] for word in shared]).flatten(),
            other.over_time([its[word] for word in shared]).flatten(),
        )


def content_words(attribution: Attribution) -> dict[str, Unit]:
    """The words of meaning that the prompt has once."""
    units = [unit for unit in attribution.words() if not (unit.special or unit.function)]
    count = Counter(unit.text.lower() for unit in units)
    return {unit.text.lower(): unit for unit in units if count[unit.text.lower()] == 1}


@lru_cache(maxsize=256)  # every method is asked about the same
def paraphrase(prompt: str, seed: int) -> str:
    """Another sentence of the laboratory's grammar for the same scene, with the most words kept.

    Raises NotApplicableError for a prompt that the grammar does not know.
    """
    import numpy as np

    from tagxai.laboratory.language.composing import compose
    from tagxai.laboratory.language.parsing import parse

    parsed = parse(prompt)
    if parsed is None:
        raise NotApplicableError(f"the laboratory's grammar cannot paraphrase {prompt!r}; give a paraphrase in `given`")
    rng = np.random.default_rng(seed)
    drawn = [compose(parsed.scene, rng).text.rstrip(".") for _ in range(TRIES)]
    said = {word.text for word in parsed.words() if word.kind in ("event", "attribute", "negation")}
    others = [text for text in drawn if text != prompt.rstrip(".") and said & set(text.split())]
    if not others:
        raise NotApplicableError(
            f"the laboratory's grammar found no paraphrase of {prompt!r}; give a paraphrase in `given`"
        )
    return max(others, key=lambda text: len(said & set(text.split())))
