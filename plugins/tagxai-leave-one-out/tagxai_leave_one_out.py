"""Leave one out: how much less likely the audio becomes without a word (occlusion; Zeiler and Fergus, ECCV 2014)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tagxai import Method, Run, Scores, TagxaiError, hookimpl
from tagxai.lazy import torch  # imported on first use, so that `tagxai list` need not wait for it
from tagxai.text.words import words


@dataclass(frozen=True)
class LeaveOneOut(Method):
    """Leave one out: the log-probability that each code loses without a word (occlusion, Zeiler & Fergus 2014)."""

    name: ClassVar[str] = "leave_one_out"
    family: ClassVar[str] = "removal"
    expense: ClassVar[str] = "1 + words forward passes, in batches"

    batch_size: int = 16
    """How many words are left out per pass of the model; results do not depend on it."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise TagxaiError(f"option 'batch_size' of method {self.name!r} must be at least 1, not {self.batch_size}")

    def explain(self, run: Run) -> Scores:
        clip, prompt = run.generation, run.conditioning
        units = words(clip.prompt, clip.spans, clip.tokens)
        scores = torch.zeros(clip.streams, clip.frames, len(clip.tokens))
        plain = run.forward().log_prob
        for first in range(0, len(units), self.batch_size):
            batch = units[first : first + self.batch_size]
            embeddings = prompt.embeddings.repeat(len(batch), 1, 1)
            for row, word in enumerate(batch):
                embeddings[row, list(word.tokens)] = 0  # the null embedding, like that of an empty prompt
            drops = plain - run.forward(replace(prompt.expand(len(batch)), embeddings=embeddings)).log_prob
            for word, drop in zip(batch, drops.float().cpu(), strict=True):
                # A word's tokens share its drop: their sum, which `per_word` shows, is the drop.
                scores[:, :, list(word.tokens)] = drop[..., None] / len(word.tokens)
            run.report(first + len(batch), len(units), "leaving words out")
        return Scores(scores)


@hookimpl
def tagxai_methods() -> list[type[Method]]:
    return [LeaveOneOut]
