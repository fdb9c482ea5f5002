"""What a detector hears in clips of changed prompts, made with the original's own seed and settings."""

from collections.abc import Iterable
from functools import cache
from math import ceil
from typing import NamedTuple

import numpy as np

from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import Generation
from tagxai.laboratory import FRAME_RATE
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.events import MARGIN, stretch
from tagxai.laboratory.judging.meters import value_of
from tagxai.laboratory.language.prompt import Attribute, Mention
from tagxai.lazy import torch

MARGIN_FRAMES = ceil(MARGIN * FRAME_RATE)

AUDIBLE = 2
"""An event is heard where more frames than this are."""


class Cut(NamedTuple):
    """The characters whose tokens the cross-attention must not see (as AudioGenX's counterfactual), at the positions
    that predict some of the frames, or throughout."""

    start: int
    end: int
    frames: tuple[int, int] | None = None


Change = str | Cut
"""An intervention: another text instead of the prompt, or a cut of its attention."""


class Witness:
    """Makes clips of changed prompts with the generation's own seed and settings, and hears what is in them."""

    def __init__(self, generator: Generator, generation: Generation, detector: EventDetector) -> None:
        self.generator, self.generation, self.detector = generator, generation, detector
        self._made: dict[Change, torch.Tensor] = {generation.prompt: generation.waveform[:1].cpu()}
        self.clip = cache(self._clip)  # a prompt is asked about more than once

    def make(self, changes: Iterable[Change]) -> None:
        """Make the clips of several changes together, for the questions that follow."""
        missing = [change for change in dict.fromkeys(changes) if change not in self._made]
        made = self.generator.generate_many([self._request(change) for change in missing])
        for change, clip in zip(missing, made, strict=True):
            self._made[change] = clip.waveform[:1].cpu()

    def _clip(self, change: Change) -> tuple[torch.Tensor, torch.Tensor]:
        """The changed prompt's clip `[1, samples]`, and the probability of every event in it `[frames, events]`."""
        self.make([change])
        waveform = self._made[change]
        return waveform, self.detector(waveform)[0]

    def _request(self, change: Change) -> Request:
        original = self.generation
        if not isinstance(change, str):
            start, end, frames = change
            seen = torch.tensor([not (span[0] < end and start < span[1]) for span in original.spans])
            mask = torch.ones(original.positions, len(original.spans))
            mask[slice(None) if frames is None else original.timeline.predicting(range(*frames))] = seen.float()
            return Request.again(original, mask=mask)
        if change.strip():
            return Request.again(original, prompt=change)
        # the event's words were all there is: what the model plays when nobody asks
        return Request.again(original, branch="unconditional")

    def frames(self, change: Change, mention: Mention) -> torch.Tensor:
        """In which frames of the changed prompt's clip the event is heard within its slot `[frames]`."""
        heard = self.clip(change)[1][:, self.detector.events.index(mention.event)] > 0.5
        rate, clip = self.generation.frame_rate, self.generation.frames
        first, last = round(mention.start_s * rate) - MARGIN_FRAMES, round(mention.end_s * rate) + MARGIN_FRAMES
        where = torch.arange(len(heard))
        return torch.nn.functional.pad(heard & (where >= first) & (where < last), (0, max(0, clip - len(heard))))[:clip]

    def value(self, change: Change, mention: Mention, attribute: Attribute) -> str | None:
        """The measured value of an attribute in the changed prompt's clip; None where the event is not heard."""
        waveform, probability = self.clip(change)
        where = stretch(probability[:, self.detector.events.index(mention.event)], mention)
        return where and value_of(mention.event, attribute.kind, waveform[0, where].numpy().astype(np.float64))
