"""DAAM: a map of each word over time, from cross-attention (Tang et al., ACL 2023, section 3), here of audio.

A word's map is its cross-attention summed over layers and heads, the mean over its tokens, and relative to the map's
own maximum; the paper's mask keeps what reaches a threshold of it. It says when a word is read most, not which of two
words is read more: every word reaches 1 somewhere. Streams are not resolved. Where weights are differences of two
attentions and may be negative (Stable Audio 3), a frame whose weight is below zero does not read the word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.lazy import torch
from tagxai.methods.families.one_pass import Observer, OnePassMethod
from tagxai.methods.families.weights_read import WeightMethod
from tagxai.text import words


@dataclass(frozen=True)
class DAAM(WeightMethod, OnePassMethod):
    """DAAM: when each word is read, relative to its own maximum, or a mask of that (Tang et al., ACL 2023)."""

    name: ClassVar[str] = "daam"

    threshold: float | None = None
    """Give the paper's mask: 1 where a word's map is at least this share of its maximum (0.4, say), else 0. None gives
    the map."""

    def __post_init__(self) -> None:
        self.require("threshold", self.threshold is None or 0 < self.threshold <= 1, "above 0 and at most 1")

    def observer(self, run: Run, sites: Sequence[AttentionSite]) -> Observer:
        return self.mean_weights(run)  # as good as the sum: maps are relative

    def scores(self, run: Run, observer: Observer) -> Scores:
        clip = run.generation
        maps = super().scores(run, observer).values.mean(0)
        scores = torch.zeros(1, *maps.shape)
        for unit in words.words(clip.prompt, clip.spans, clip.tokens):
            word = maps[:, list(unit.tokens)].mean(1).clamp(min=0)
            word = word / word.max().clamp(min=torch.finfo(word.dtype).tiny)
            if self.threshold is not None:
                word = (word >= self.threshold).to(word)
            scores[0, :, list(unit.tokens)] = word[:, None]
        return Scores.mask(scores)
