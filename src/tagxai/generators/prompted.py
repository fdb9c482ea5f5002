"""What generators share that make clips of frames from a prompt, whatever they make them of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from typing import Any

from tagxai.contract.encoding import remember_conditioning
from tagxai.contract.generator import Capability
from tagxai.contract.request import Request
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError
from tagxai.generators.borrowing import Borrower
from tagxai.generators.jobs import Job
from tagxai.generators.quantised import without_derivative
from tagxai.generators.reading import PromptReader
from tagxai.lazy import torch


class PromptedGenerator(Borrower, PromptReader):
    """A generator of clips of up to `max_frames` frames, under classifier-free guidance."""

    default_guidance_scale: float = 3.0  # where a checkpoint names none

    source: str
    max_frames: int

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Dtype of the decoder's matrices. Where that is lower than float32, the rest may still be float32."""

    def _lower(self) -> AbstractContextManager[Any]:
        """Only matrix products are in a lower dtype; norms and the sum of the layers stay as exact as the model has
        them. A word often changes log-probabilities by less than rounding that sum would."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def lacks(self) -> Mapping[Capability, str]:
        cut = without_derivative(self.modules().values())
        return {} if cut is None else {"gradients": f"{cut!r} is quantised in a way that torch cannot differentiate"}

    def frames_of(self, duration: float | None) -> int:
        """Frames of a clip of `duration` seconds (None: the default). Raises TagxaiError for a bad duration."""
        seconds = min(self.default_duration, self.max_duration) if duration is None else duration
        frames = round(seconds * self.frame_rate) if isfinite(seconds * self.frame_rate) else 0
        if not 1 <= frames <= self.max_frames:
            raise TagxaiError(
                f"generator {self.name!r} cannot make {seconds:g} s: expected {1 / self.frame_rate:g} to "
                f"{self.max_duration:g} s"
            )
        return frames

    def generate_one(self, request: Request, *, on_progress: OnProgress | None = None) -> Generation:
        return self.generate_many([request], on_progress=on_progress)[0]

    def _generation(self, job: Job[Any], record: dict[str, torch.Tensor], waveform: torch.Tensor) -> Generation:
        """The clip that answers a job."""
        request, conditioning = job.request, job.conditioning
        generation = Generation(
            prompt=request.prompt,
            tokens=conditioning.tokens[0],
            spans=conditioning.spans[0],
            waveform=waveform,
            sample_rate=self.sample_rate,
            timeline=job.timeline,
            seed=request.seed,
            generator=f"{self.name}:{self.source}" if self.source else self.name,
            record=record,
            settings={**job.settings, "branch": request.branch},
            model=self.identity(),
            given=0 if request.beginning is None else request.beginning.frames,
        )
        remember_conditioning(self, generation, conditioning)
        return generation
