"""Where a clip's scores lie in time: between the decoder's own positions and the frames of the audio.

Each family of models lays out its sequence in its own way, and a `Timeline` is the one place that knows how.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from tagxai.lazy import Float, torch


@dataclass(frozen=True)
class Timeline(ABC):
    """`frames` of the codec or of the latents; seconds = frame / `frame_rate` (Hz)."""

    frames: int
    frame_rate: float

    kind: ClassVar[str]

    @property
    @abstractmethod
    def streams(self) -> int:
        """Outcomes of a frame that are scored apart: codebooks, or noise levels of a latent model."""

    @property
    @abstractmethod
    def positions(self) -> int:
        """Queries of the decoder, which a gate addresses: steps of a delay pattern, or latent frames."""

    @property
    def levels(self) -> int:
        """Noise levels at which a clip is run again: 1 for models that do not denoise."""
        return 1

    @abstractmethod
    def to_frames(
        self, states: Float[torch.Tensor, "*batch positions values"]
    ) -> Float[torch.Tensor, "*batch streams frames values"]:
        """What belongs to each outcome, read at the position that predicts it."""

    def at_levels(
        self, states: Float[torch.Tensor, "levels positions values"]
    ) -> Float[torch.Tensor, "streams frames values"]:
        """As `to_frames`, for what each noise level has by itself."""
        (only,) = states
        return self.to_frames(only)

    @abstractmethod
    def to_positions(
        self, scores: Float[torch.Tensor, "#streams frames values"]
    ) -> Float[torch.Tensor, "positions values"]:
        """The mean over the outcomes that each position predicts. A single stream stands for all of them."""

    @abstractmethod
    def predicting(self, frames: range) -> slice:
        """The positions that predict any outcome of these frames."""

    def until(self, frame: int) -> Timeline:
        """The shortest clip that predicts the frames before `frame` as the whole clip does.

        A model that sees both ways has no shorter one: this is then the timeline itself.
        """
        return self

    def after(self, frame: int) -> Timeline:
        """The frames from `frame` on, as a timeline of their own."""
        return replace(self, frames=self.frames - frame)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"kind": self.kind, "frames": self.frames, "frame_rate": self.frame_rate}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Timeline:
        """Raises KeyError, TypeError or ValueError for what no timeline wrote."""
        frames, rate = int(content["frames"]), float(content["frame_rate"])
        if content["kind"] == DelayPattern.kind:
            return DelayPattern(frames, rate, tuple(int(delay) for delay in content["delays"]))
        if content["kind"] == LatentFrames.kind:
            return LatentFrames(frames, rate, int(content["streams"]))
        raise ValueError(f"no timeline is called {content['kind']!r}")


@dataclass(frozen=True)
class DelayPattern(Timeline):
    """The code of codebook q at frame f is predicted at position f + `delays`[q] (MusicGen, AudioGen, Dia)."""

    delays: tuple[int, ...]

    kind: ClassVar[str] = "delay_pattern"

    @property
    def streams(self) -> int:
        return len(self.delays)

    @property
    def positions(self) -> int:
        return self.frames + max(self.delays)

    def to_frames(
        self, states: Float[torch.Tensor, "*batch positions values"]
    ) -> Float[torch.Tensor, "*batch streams frames values"]:
        return torch.stack([states[..., delay : delay + self.frames, :] for delay in self.delays], dim=-3)

    def to_positions(
        self, scores: Float[torch.Tensor, "#streams frames values"]
    ) -> Float[torch.Tensor, "positions values"]:
        total = scores.new_zeros(self.positions, scores.shape[-1])
        count = scores.new_zeros(self.positions, 1)
        for row, delay in zip(scores.expand(len(self.delays), -1, -1), self.delays, strict=True):
            total[delay : delay + self.frames] += row
            count[delay : delay + self.frames] += 1
        return total / count

    def predicting(self, frames: range) -> slice:
        return slice(frames.start, frames.stop + max(self.delays))

    def until(self, frame: int) -> DelayPattern:
        # Frame f of a codebook with delay d is predicted after frames < f + d of those without, and nothing later.
        return replace(self, frames=min(self.frames, frame + max(self.delays)))

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"delays": list(self.delays)}


@dataclass(frozen=True)
class LatentFrames(Timeline):
    """Every latent frame is a position, read once at each of `streams` noise levels (latent diffusion and flow)."""

    streams: int = 1  # a field in place of the property

    kind: ClassVar[str] = "latent_frames"

    @property
    def positions(self) -> int:
        return self.frames

    @property
    def levels(self) -> int:
        return self.streams

    def to_frames(
        self, states: Float[torch.Tensor, "*batch positions values"]
    ) -> Float[torch.Tensor, "*batch streams frames values"]:
        return states.unsqueeze(-3).expand(*states.shape[:-2], self.streams, *states.shape[-2:])

    def at_levels(
        self, states: Float[torch.Tensor, "levels positions values"]
    ) -> Float[torch.Tensor, "streams frames values"]:
        return states

    def to_positions(
        self, scores: Float[torch.Tensor, "#streams frames values"]
    ) -> Float[torch.Tensor, "positions values"]:
        return scores.mean(0)

    def predicting(self, frames: range) -> slice:
        return slice(frames.start, frames.stop)

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"streams": self.streams}
