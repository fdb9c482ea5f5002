"""Audio that puts an explanation to the test: factual, counterfactual and unconditional clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    return listen_many(generator, [attribution], repeats=repeats, on_progress=on_progress)[0]


def listen_many(
    generator: Generator,
    attributions: Sequence[Attribution],
    *,
    repeats: int = 1,
    on_progress: OnProgress | None = None,
) -> list[tuple[Track, ...]]:
    """`listen` for each attribution, in order; all clips are made together."""
    plan: list[tuple[TrackKind, int]] = [
        *(("factual", i) for i in range(repeats)),
        *(("counterfactual", i) for i in range(repeats)),
        ("unconditional", 0),
    ]
    requests = [each for attribution in attributions for each in _requests(generator, attribution, plan)]
    clips = iter(generator.generate_many(requests, on_progress=on_progress))
    found = []
    for _ in attributions:
        tracks = []
        for kind, i in plan:
            clip = next(clips)
            name = f"{kind}-{i + 1}" if repeats > 1 and kind != "unconditional" else kind
            tracks.append(Track(name, kind, clip.seed, clip.waveform, clip.sample_rate))
        found.append(tuple(tracks))
    return found


def _requests(
    generator: Generator, attribution: Attribution, plan: Sequence[tuple[TrackKind, int]]
) -> Iterator[Request]:
    original, mask = attribution.generation, attribution.to_mask()
    masks = {"factual": mask, "counterfactual": 1 - mask, "unconditional": None}
    conditioning = conditioning_of(generator, original)
    for kind, i in plan:
        yield Request.again(
            original,
            seed=original.seed + i,
            mask=masks[kind],
            branch="unconditional" if kind == "unconditional" else None,
            conditioning=conditioning,
        )
