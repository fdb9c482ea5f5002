"""Audio that puts an explanation to the test: factual, counterfactual and unconditional clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import OnProgress, Progress
from tagxai.lazy import torch

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
    sampling = {key: original.settings.get(key) for key in ("guidance_scale", "top_k", "temperature")}
    branch = original.settings.get("branch", "guided")
    plan: list[tuple[TrackKind, int]] = [
        *(("factual", i) for i in range(repeats)),
        *(("counterfactual", i) for i in range(repeats)),
        ("unconditional", 0),
    ]
    tracks = []
    for number, (kind, i) in enumerate(plan):

        def report(progress: Progress, number: int = number, kind: str = kind) -> None:
            if on_progress is not None:
                done = number * progress.total + progress.done
                on_progress(Progress(done, len(plan) * progress.total, f"{kind} audio"))

        generation = generator.generate(
            original.prompt,
            duration=original.duration,
            seed=original.seed + i,
            mask={"factual": mask, "counterfactual": 1 - mask, "unconditional": None}[kind],
            branch="unconditional" if kind == "unconditional" else branch,
            on_progress=report,
            **sampling,
        )
        name = f"{kind}-{i + 1}" if repeats > 1 and kind != "unconditional" else kind
        tracks.append(Track(name, kind, generation.seed, generation.waveform, generation.sample_rate))
    return tuple(tracks)
