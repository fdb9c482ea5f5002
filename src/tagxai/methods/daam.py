"""DAAM: a map of each word over time, from cross-attention (Tang et al., ACL 2023, section 3), here of audio.

A word's map is its cross-attention summed over layers and heads, the mean over its tokens, and relative to the map's
own maximum; the paper's mask keeps what reaches a threshold of it. It says when a word is read most, not which of two
words is read more: every word reaches 1 somewhere. Codebooks are not resolved.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from tagxai.contract.attention import edit_attention
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.timeline import undo_delay
from tagxai.contract.values import Generation, OnProgress
from tagxai.lazy import torch
from tagxai.probing.edits import Capture
from tagxai.text import words


@dataclass(frozen=True)
class DAAM(Method):
    """DAAM: when each word is read, relative to its own maximum, or a mask of that (Tang et al., ACL 2023)."""

    name: ClassVar[str] = "daam"
    needs = frozenset({"attention"})
    passes = "one forward pass"

    threshold: float | None = None
    """Give the paper's mask: 1 where a word's map is at least this share of its maximum (0.4, say), else 0. None gives
    the map."""

    def __post_init__(self) -> None:
        self.require("threshold", self.threshold is None or 0 < self.threshold <= 1, "above 0 and at most 1")

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        capture = Capture()
        with torch.no_grad(), edit_attention(generator.cross_attention(), capture):
            generator.forward(generation, log_prob=False)
        by_codebook = undo_delay(capture.weights()[0].float().cpu(), generation.delays, generation.frames)
        maps = by_codebook.mean(0)  # the sum of layers and heads is as good as their mean: it is relative in the end
        scores = torch.zeros(1, *maps.shape)
        for unit in words.words(generation.prompt, generation.token_spans, generation.tokens):
            word = maps[:, list(unit.tokens)].mean(1)
            word = word / word.max().clamp(min=torch.finfo(word.dtype).tiny)
            if self.threshold is not None:
                word = (word >= self.threshold).to(word)
            scores[0, :, list(unit.tokens)] = word[:, None]
        return Attribution(
            generation,
            scores,
            self.name,
            self.settings(),
            is_mask=True,
            merge="mean",
            cost={"seconds": perf_counter() - started, "forward_passes": 1},
        )
