"""The values that flow: prompt -> Generation -> Attribution -> Result.

THE GLOSSARY OF AXES, used in every annotation of the package
    tokens      text tokens of the prompt, `</s>` included. A token is always text ...
    codes       ... and a code is always audio: one entry of one codebook.
    codebooks   the parallel code streams of the neural codec.
    frames      codec frames; seconds = frame / frame_rate.
    steps       predicted columns of the interleaved (delay) pattern: the code of codebook q at frame f is predicted at
                step f + delays[q], so steps = frames + max(delays).
    batch       independent rows of one model call.
    samples     audio samples; seconds = sample / sample_rate.
    dim         the width of the decoder.
None of the values below but `Conditioning` and `StepOutput` has a batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from jaxtyping import Bool, Float, Int

from tagxai.errors import TagxaiError
from tagxai.lazy import torch

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
    entry a row: the row's tokens without padding, and their (start, end) character offsets in its prompt.
    """

    embeddings: Float[torch.Tensor, "batch tokens dim"]
    mask: Bool[torch.Tensor, "batch tokens"]
    tokens: tuple[tuple[str, ...], ...]
    spans: tuple[tuple[tuple[int, int], ...], ...]

    def __len__(self) -> int:
        return self.embeddings.shape[0]

    def expand(self, batch: int) -> Conditioning:
        """One encoded prompt repeated to `batch` rows, without a copy of its embeddings."""
        if len(self) != 1:
            raise ValueError(f"only one encoded prompt can be expanded, this holds {len(self)}")
        return replace(
            self,
            embeddings=self.embeddings.expand(batch, -1, -1),
            mask=self.mask.expand(batch, -1),
            tokens=self.tokens * batch,
            spans=self.spans * batch,
        )


@dataclass(frozen=True)
class StepOutput:
    """A teacher-forced pass. `hidden` is what the codebook heads read; the delay is undone in `log_prob`.

    `log_prob[b, q, f]` is the log-probability of the generation's own code of codebook q at frame f (None when the
    caller did not ask for it).
    """

    hidden: Float[torch.Tensor, "batch steps dim"]
    log_prob: Float[torch.Tensor, "batch codebooks frames"] | None = None


@dataclass(frozen=True, eq=False)
class Memory:
    """What a decoder keeps of the first `steps` of a clip: the keys and values of its self-attention, for one row."""

    steps: int
    state: Any


@dataclass(frozen=True, eq=False)
class Generation:
    """One generated clip and everything that is needed to look at it again.

    `token_spans` are (start, end) character offsets in `prompt` (`</s>` has an empty span at its end). `delays[q]` is
    the delay of codebook q in steps. `settings` holds the sampling settings that made it.
    """

    prompt: str
    tokens: tuple[str, ...]
    token_spans: tuple[tuple[int, int], ...]
    codes: Int[torch.Tensor, "codebooks frames"]
    waveform: Float[torch.Tensor, "channels samples"]
    sample_rate: int
    frame_rate: float
    delays: tuple[int, ...]
    seed: int
    generator: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.token_spans):
            raise ValueError(f"{len(self.tokens)} tokens but {len(self.token_spans)} token spans")
        if self.codes.ndim != 2 or len(self.delays) != self.codes.shape[0]:
            raise ValueError(f"codes of shape {tuple(self.codes.shape)} do not fit {len(self.delays)} codebook delays")

    @property
    def frames(self) -> int:
        return self.codes.shape[1]

    @property
    def steps(self) -> int:
        return self.frames + max(self.delays)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.frame_rate

    def frame_range(self, start: float | None = None, end: float | None = None) -> range:
        """The frames whose centre lies in [start, end) seconds; the whole clip by default.

        Raises TagxaiError when the interval is empty, reversed or outside the clip.
        """
        start, end = 0.0 if start is None else start, self.duration if end is None else end
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
