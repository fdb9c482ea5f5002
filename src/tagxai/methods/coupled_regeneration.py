"""Coupled regeneration: the clip made again from its own noise without each word, and compared frame by frame.

A model that denoises draws all its chance at the start. One seed under two prompts is then one noise, and where two
clips differ, the words made the difference, as in editing of images by their prompt (Hertz et al., ICLR 2023). Nothing
is taken out of the model, but clips near one another may part for a small cause: a filler moves all frames a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, get_args

from tagxai.contract.cost import count
from tagxai.contract.generator import Capability
from tagxai.contract.method import Method
from tagxai.contract.request import Request
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.values import Generation
from tagxai.contract.workload import Workload
from tagxai.lazy import Float, torch
from tagxai.probing.windows import windows
from tagxai.scoring import leave_one_out, without
from tagxai.text import words
from tagxai.text.words import By

CLASSIFIERS = "tagxai.classifiers"
"""Imported by name, as it stands above the methods."""


@dataclass(frozen=True)
class CoupledRegeneration(Method):
    """Coupled regeneration: how far each frame moves when the clip is made from the same noise without the word."""

    family: ClassVar[str] = "regeneration"
    name: ClassVar[str] = "coupled_regeneration"
    needs: ClassVar[frozenset[Capability]] = frozenset({"coupled"})
    remedy: ClassVar[str] = "method 'occlusion' with operator=delete takes words away from a clip that stays as it is"
    expense: ClassVar[str] = "words clips, in batches"

    by: By = "word"
    """Whether words, noun phrases or the model's own tokens are taken away."""
    classifier: str | None = None
    """Compare what a classifier hears (`detector`, `passt`, `panns:FILE`, `clap:FOLDER`) in each window, instead of
    latents."""
    resolution: float = 0.5
    """Seconds of a window, for a classifier."""

    def __post_init__(self) -> None:
        self.require("by", self.by in get_args(By), f"one of {', '.join(get_args(By))}")

    def explain(self, run: Run) -> Scores:
        clip = run.generation
        units = [each for each in words.units(self.by, clip.prompt, clip.spans, clip.tokens) if not each.special]
        kept = leave_one_out(len(units))[1:].tolist()
        requests = [_asking(clip, without(clip.prompt, units, row)) for row in kept]
        count(clips=len(requests))
        others = run.model.generate_many(requests, on_progress=run.on_progress)
        scores = torch.zeros(1, clip.frames, len(clip.tokens))
        for unit, moved in zip(units, self._moved(run, others), strict=True):
            scores[..., list(unit.tokens)] = moved[:, None].float().cpu() / len(unit.tokens)
        return Scores(scores)

    def peak_memory(self, work: Workload) -> int:
        return work.forward(work.batch)

    def _moved(self, run: Run, others: Sequence[Generation]) -> Sequence[Float[torch.Tensor, " frames"]]:
        """How far each of the other clips is from the clip, at every frame."""
        clip = run.generation
        if self.classifier is None:
            return [run.model.distance(clip, other) for other in others]
        judge = import_module(CLASSIFIERS).load_classifier(self.classifier)
        parts = windows(clip, self.resolution)
        heard = [judge([_cut(each, part) for part in parts], each.sample_rate) for each in (clip, *others)]
        return [_spread((heard[0] - other).abs().sum(-1), parts) for other in heard[1:]]


def _asking(clip: Generation, text: str) -> Request:
    """For the clip under another text; under none, where no word is left."""
    return Request.again(clip, prompt=text) if text else Request.again(clip, branch="unconditional")


def _cut(clip: Generation, frames: range) -> Any:
    """The sound of some frames."""
    start, end = (round(edge * clip.sample_rate / clip.frame_rate) for edge in (frames.start, frames.stop))
    return clip.waveform[:, start:end]


def _spread(values: Float[torch.Tensor, " windows"], parts: Sequence[range]) -> Float[torch.Tensor, " frames"]:
    """Each window's value at all of its frames."""
    return values.repeat_interleave(torch.tensor([len(part) for part in parts]))
