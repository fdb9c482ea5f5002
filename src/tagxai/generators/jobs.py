"""Requests with all that sampling needs to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tagxai.contract.continuing import Beginning, Continuing
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request, read_settings
from tagxai.contract.timeline import Timeline
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.lazy import torch

Layout = TypeVar("Layout", bound=Timeline)


@dataclass(frozen=True, eq=False)
class Job(Generic[Layout]):
    """A request, read; `number` is its place among the caller's requests."""

    number: int
    request: Request
    conditioning: Conditioning
    timeline: Layout
    settings: dict[str, Any]

    @property
    def is_gated(self) -> bool:
        return self.request.mask is not None and self.request.branch != "unconditional"

    @property
    def tokens(self) -> int:
        return self.conditioning.embeddings.shape[1]

    @property
    def kind(self) -> tuple[int, bool]:
        """Jobs of one kind have attention to the text of one shape, gated or not."""
        return self.tokens, self.is_gated


def read_jobs(generator: Generator, requests: Sequence[Request]) -> list[Job[Any]]:
    """Raises TagxaiError for a duration or a setting that the generator does not take, ValueError for a mask that does
    not fit the clip."""
    encoded: dict[str, Conditioning] = {}  # each alone, as padding would change its last digits
    jobs = []
    for number, request in enumerate(requests):
        settings = read_settings(generator.sampling_settings(), request.settings, f"generator {generator.name!r}")
        timeline = generator.timeline(request.duration)
        conditioning = request.conditioning or encoded.get(request.prompt)
        if conditioning is None:
            conditioning = encoded[request.prompt] = generator.encode_prompt([request.prompt])
        mask, expected = request.mask, (timeline.positions, len(conditioning.tokens[0]))
        if mask is not None and mask.shape != expected:
            raise ValueError(f"mask of shape {tuple(mask.shape)}; expected {expected}")
        if mask is not None and not torch.isfinite(mask).all():
            raise TagxaiError("the mask that a clip is to be sampled under is not finite")
        if request.beginning is not None:
            _check_beginning(generator, request.beginning, timeline)
        jobs.append(Job(number, request, conditioning, timeline, settings))
    return jobs


def _check_beginning(generator: Generator, beginning: Beginning, timeline: Timeline) -> None:
    """Raises TagxaiError for one that leaves nothing of the clip, or a generator that cannot begin so."""
    if type(generator).without_beginning is Continuing.without_beginning:
        raise UnsupportedError(f"generator {generator.name!r} cannot continue a sound")
    if beginning.frames >= timeline.frames:
        given, asked = (frames / timeline.frame_rate for frames in (beginning.frames, timeline.frames))
        raise TagxaiError(
            f"the {given:g} s of sound to continue leave nothing to generate of a clip of {asked:g} s; keep less of "
            "it, or ask for a longer clip"
        )


def gates(jobs: Sequence[Job[Any]], positions: int) -> torch.Tensor:
    """The masks of gated jobs, `[rows, positions, tokens]`, as long as the longest clip; what a shorter one does when
    it is over is not used."""
    masks = [job.request.mask.to(job.conditioning.embeddings) for job in jobs if job.request.mask is not None]
    return torch.stack([torch.nn.functional.pad(mask, (0, 0, 0, positions - len(mask)), value=1.0) for mask in masks])
