"""Shapley values of the prompt's words: each word's fair share of the clip's log-probability (Shapley 1953)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai import words
from tagxai.attribution import Attribution
from tagxai.base import Generator, Method
from tagxai.errors import TagxaiError
from tagxai.lazy import torch
from tagxai.scoring import Operator, Target, all_subsets, score, shapley
from tagxai.types import Generation, OnProgress

MOST_UNITS = 12


@dataclass(frozen=True)
class Shapley(Method):
    """Exact Shapley values of words for every audio code, over all subsets of the prompt (Lundberg & Lee, 2017)."""

    name: ClassVar[str] = "shapley"
    needs = frozenset({"attention"})
    passes = "2^words forward passes, in batches"

    operator: Operator = "gate"
    """How a word is taken away: `gate` or `attention` (its cross-attention), `null` (its embeddings), or `delete`
    (its text). See `tagxai.scoring`."""
    target: Target = "conditional"
    """Whose log-probability: `conditional`, `guided` (under classifier-free guidance) or `contrast`."""
    batch_size: int | None = None
    """Subsets in one pass; None takes what fits."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        units = words.words(generation.prompt, generation.token_spans, generation.tokens)
        if len(units) > MOST_UNITS:  # every further word doubles the passes; phrases are fewer
            units = words.phrases(generation.prompt, generation.token_spans, generation.tokens)
        if len(units) > MOST_UNITS:
            raise TagxaiError(
                f"exact Shapley values need 2^n passes: expected at most {MOST_UNITS} phrases, not {len(units)}"
            )
        table = score(
            generator,
            generation,
            units,
            all_subsets(len(units)),
            operator=self.operator,
            target=self.target,
            batch_size=self.batch_size,
            on_progress=on_progress,
        )
        values = shapley(table)
        scores = torch.zeros(*values.shape[1:], len(generation.tokens))
        for unit, value in zip(units, values, strict=True):  # a unit's tokens share its value equally
            scores[..., list(unit.tokens)] = value[..., None] / len(unit.tokens)
        return Attribution(
            generation,
            scores,
            self.name,
            self.settings(),
            cost={"seconds": table.seconds, "forward_passes": table.rows},
        )
