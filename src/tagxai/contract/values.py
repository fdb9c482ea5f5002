"""The values that flow: prompt -> Generation -> Attribution -> Result.

THE GLOSSARY OF AXES, used in every annotation of the package
    tokens      text tokens of the prompt, `</s>` included. A token is always text ...
    codes       ... and a code is always audio: one entry of one codebook.
    streams     outcomes of a frame that are scored apart: codebooks, or noise levels of a latent model.
    frames      frames of the codec or of the latents; seconds = frame / frame_rate.
    positions   queries of the decoder, which a gate addresses: steps of a delay pattern, or latent frames.
    batch       independent rows of one model call.
    samples     audio samples; seconds = sample / sample_rate.
    dim         the width of the decoder.
None of the values below but `Conditioning` and `StepOutput` has a batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tagxai.contract.identity import Identity
from tagxai.contract.notebook import AskedForSound
from tagxai.contract.showing import drawing
from tagxai.contract.timeline import Timeline
from tagxai.errors import TagxaiError
from tagxai.lazy import Bool, Float, torch

if TYPE_CHECKING:
    from torch.utils.weak import WeakTensorKeyDictionary

Branch = Literal["conditional", "unconditional", "guided"]
"""Which half of classifier-free guidance: with the prompt, without it, or `unconditional + scale * difference`."""


class Progress(NamedTuple):
    """What long work reports to its callback: `done` of `total`, and a word on what it is doing."""

    done: int
    total: int
    message: str


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts, as the decoder's cross-attention reads them.

    `embeddings` are already projected to the decoder's width. `mask` is False on padding. `tokens` and `spans` have one
    entry a row: the row's tokens without padding, and their (start, end) character offsets in its prompt. `extras`
    hold what else a generator reads of a prompt, a row for each prompt; only that generator knows what they are.
    """

    embeddings: Float[torch.Tensor, "batch tokens dim"]
    mask: Bool[torch.Tensor, "batch tokens"]
    tokens: tuple[tuple[str, ...], ...]
    spans: tuple[tuple[tuple[int, int], ...], ...]
    extras: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.embeddings.shape[0]

    @property
    def padding(self) -> Bool[torch.Tensor, "batch tokens"] | None:
        """`mask`, or None where it hides nothing. A mask is asked once, as the host has to wait for the answer."""
        known = _hides_something()
        if self.mask not in known:
            known[self.mask] = not self.mask.all()
        return self.mask if known[self.mask] else None

    def expand(self, batch: int) -> Conditioning:
        """One encoded prompt repeated to `batch` rows, without a copy of its embeddings."""
        if len(self) != 1:
            raise ValueError(f"only one encoded prompt can be expanded, this holds {len(self)}")
        mask = self.mask.expand(batch, -1)
        _hides_something()[mask] = self.padding is not None
        return replace(
            self,
            embeddings=self.embeddings.expand(batch, -1, -1),
            mask=mask,
            tokens=self.tokens * batch,
            spans=self.spans * batch,
            extras={name: rows.expand(batch, *rows.shape[1:]) for name, rows in self.extras.items()},
        )


@cache
def _hides_something() -> WeakTensorKeyDictionary:
    """Whether each mask in use hides a token. Masks are compared by identity, as the answer is kept for an object."""
    from torch.utils.weak import WeakTensorKeyDictionary

    return WeakTensorKeyDictionary()


@dataclass(frozen=True)
class StepOutput:
    """A clip run again under some conditioning: the states that its outcomes are predicted from, and how likely those.

    `log_prob[b, s, f]` is the log-probability of the clip's own outcome of stream s at frame f. For latents it is minus
    half the squared error of the denoiser: a Gaussian log-likelihood but for a constant, so that only differences mean
    something.
    """

    hidden: Float[torch.Tensor, "batch positions dim"]
    log_prob: Float[torch.Tensor, "batch streams frames"]


@dataclass(frozen=True, eq=False)
class PrefixState:
    """What many passes over one clip share: the decoder's state after its first `positions`, under one prompt, and
    the states of the unconditional branch (None where guidance is not asked for). Only its own generator reads it."""

    positions: int
    state: Any
    unconditional: Float[torch.Tensor, "1 positions dim"] | None = None


@dataclass(frozen=True, eq=False)
class Generation(AskedForSound):
    """One generated clip and everything that is needed to look at it again.

    `spans` are the tokens' (start, end) character offsets in `prompt` (`</s>` has an empty span at its end). `settings`
    holds the sampling settings that made it. `record` is what its generator needs to run it again (codes, or latents
    and the trajectory that led to them), and opaque to everyone else. `model` says which model made it, where that is
    known. The first `given` frames were not generated but given, as the sound that the clip continues.
    """

    prompt: str
    tokens: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    waveform: Float[torch.Tensor, "channels samples"]
    sample_rate: int
    timeline: Timeline
    seed: int
    generator: str
    record: Mapping[str, torch.Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: Identity | None = None
    given: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.given <= self.frames:
            raise ValueError(f"{self.given} given frames in a clip of {self.frames}")
        if len(self.tokens) != len(self.spans):
            raise ValueError(f"{len(self.tokens)} tokens but {len(self.spans)} token spans")

    @property
    def frames(self) -> int:
        return self.timeline.frames

    @property
    def frame_rate(self) -> float:
        """Hz."""
        return self.timeline.frame_rate

    @property
    def streams(self) -> int:
        return self.timeline.streams

    @property
    def positions(self) -> int:
        return self.timeline.positions

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.frame_rate

    def _repr_html_(self) -> str:
        return drawing().notebook_html(self)

    def sounds_as(self, other: Generation) -> bool:
        """Whether both are the same clip: of one prompt, with equal records."""
        return (
            self.prompt == other.prompt
            and (self.timeline, self.given) == (other.timeline, other.given)
            and self.record.keys() == other.record.keys()
            and all(torch.equal(tensor, other.record[name].to(tensor.device)) for name, tensor in self.record.items())
        )

    def frame_range(self, start: float | None = None, end: float | None = None) -> range:
        """The frames whose centre lies in [start, end) seconds; by default all that were generated.

        Raises TagxaiError when the interval is empty, reversed or outside the clip.
        """
        start = self.given / self.frame_rate if start is None else start
        end = self.duration if end is None else end
        if not (0 <= start < end <= self.duration + 1e-6):
            raise TagxaiError(
                f"interval {start:g}:{end:g} s does not fit the clip: expected 0 <= start < end <= {self.duration:g} s"
            )
        frames = [frame for frame in range(self.frames) if start <= (frame + 0.5) / self.frame_rate < end]
        if not frames:
            raise TagxaiError(
                f"interval {start:g}:{end:g} s holds no frame's centre; a frame is {1 / self.frame_rate:g} s"
            )
        return range(frames[0], frames[-1] + 1)
