"""Audio that puts an explanation to the test: factual, counterfactual and unconditional clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tagxai.contract.attribution import Attribution
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import OnProgress
from tagxai.lazy import Float, torch

TrackKind = Literal["factual", "counterfactual", "unconditional"]
"""Sampled under the explanation's mask, under one minus it, or without the prompt."""


@dataclass(frozen=True, eq=False)
class Track:
    """A clip that was sampled to make an explanation audible."""

    name: str
    kind: TrackKind
    seed: int
    waveform: Float[torch.Tensor, "channels samples"]
    sample_rate: int

    @property
    def file(self) -> str:
        return f"{self.name}.flac"


def listen(
    generator: Generator, attribution: Attribution, *, repeats: int = 1, on_progress: OnProgress | None = None
) -> tuple[Track, ...]:
    """Sample `repeats` factual and counterfactual clips, with seeds from the original's upwards, and one clip without
    the prompt."""
    original, mask = attribution.generation, attribution.to_mask()
    plan: list[tuple[TrackKind, int]] = [
        *(("factual", i) for i in range(repeats)),
        *(("counterfactual", i) for i in range(repeats)),
        ("unconditional", 0),
    ]
    masks = {"factual": mask, "counterfactual": 1 - mask, "unconditional": None}
    conditioning = conditioning_of(generator, original)
    requests = [
        Request.again(
            original,
            seed=original.seed + i,
            mask=masks[kind],
            branch="unconditional" if kind == "unconditional" else None,
            conditioning=conditioning,
        )
        for kind, i in plan
    ]
    clips = generator.generate_many(requests, on_progress=on_progress)
    tracks = []
    for (kind, i), clip in zip(plan, clips, strict=True):
        name = f"{kind}-{i + 1}" if repeats > 1 and kind != "unconditional" else kind
        tracks.append(Track(name, kind, clip.seed, clip.waveform, clip.sample_rate))
    return tuple(tracks)
