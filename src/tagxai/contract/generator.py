"""A text-to-audio model behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from jaxtyping import Float, Int

from tagxai.contract.attention import AttentionSite
from tagxai.contract.truth import Level, Truth
from tagxai.contract.values import Branch, Conditioning, Generation, Memory, OnProgress, StepOutput
from tagxai.errors import UnsupportedError
from tagxai.lazy import torch

Capability = Literal["gradients", "attention", "truth"]
"""What a generator may offer beyond `generate` and `forward`: differentiable passes, attention that can be edited, and
the truth about which words cause which frames of a clip."""


class Generator(ABC):
    """A text-to-audio model behind one interface. `batch` is a batch of conditionings for one and the same clip."""

    name: ClassVar[str]
    offers: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention"})
    shards: ClassVar[bool] = False  # whether `load` takes the device "sharded": over all that there are, by accelerate
    threads: ClassVar[int | None] = None  # of torch on a CPU that suit it; the command line sets them

    sample_rate: int  # Hz
    frame_rate: float  # codec frames a second, Hz
    delays: tuple[int, ...]  # of each codebook, in steps
    max_duration: float  # seconds

    @classmethod
    @abstractmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> Generator:
        """Make the generator from a local folder or hub id; None takes the default. Raises TagxaiError."""

    @abstractmethod
    def generate(
        self,
        prompt: str,
        *,
        duration: float | None = None,
        seed: int = 0,
        guidance_scale: float | None = None,
        top_k: int | None = None,
        temperature: float | None = None,
        mask: Float[torch.Tensor, "steps tokens"] | None = None,
        branch: Branch = "guided",
        on_progress: OnProgress | None = None,
    ) -> Generation:
        """Sample `duration` seconds of audio (None: the generator's own defaults throughout).

        `mask` gates the text tokens of the conditional branch at every cross-attention site while sampling: factual
        audio with a method's mask, counterfactual with one minus it. `branch="unconditional"` ignores the prompt.
        """

    @abstractmethod
    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """Tokenise and encode; padded where lengths differ, which changes no result. An empty text is `</s>` alone."""

    @abstractmethod
    def forward(
        self,
        generation: Generation,
        conditioning: Conditioning | None = None,
        *,
        branch: Branch = "conditional",
        log_prob: bool = True,
        isolated: bool = False,
        unconditional: Float[torch.Tensor, "1 steps dim"] | None = None,
        memory: Memory | None = None,
    ) -> StepOutput:
        """Teacher-forced: the generation's own codes in, hidden states and log-probabilities of those codes out.

        Differentiable. `conditioning` (default: the generation's own prompt) may be a batch. `branch="guided"` mixes
        the logits with the generation's guidance scale; `hidden` is then that of the conditional branch. `isolated`
        replays each step as a sequence of length one at position 0, without audio context: what AudioGenX's public
        scripts do. Hooks then see `batch * steps` rows of one query. `unconditional` are the hidden states of the
        unconditional branch of the same clip, where the caller of `branch="guided"` has them already.
        After a `memory` (see `remember`) the output starts at its end: steps and frames count from there.
        """

    def remember(self, generation: Generation, conditioning: Conditioning, steps: int) -> Memory:
        """The first `steps` of the clip under one prompt, for `forward` to go on from under others, any number of
        times. Raises UnsupportedError where a model cannot."""
        raise UnsupportedError(f"generator {self.name!r} cannot go on from the middle of a clip; score the whole clip")

    @abstractmethod
    def decode(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        """Codes to sound at `sample_rate`."""

    def attention_sites(self) -> Sequence[AttentionSite]:
        """All attention modules of the decoder, in order; none where "attention" is not offered."""
        return ()

    def cross_attention(self) -> Sequence[AttentionSite]:
        return [site for site in self.attention_sites() if site.kind == "cross"]

    def weights(self) -> Mapping[str, Sequence[torch.Tensor]]:
        """The trained weights that lead from the text to the codes, by part, from the output back: "heads", then of
        each layer, last first, "layer3" and "layer3.cross" (its cross-attention), and "text_encoder". Empty where they
        are not known. For metrics that randomise a copy of the model."""
        return {}

    def truth(self, generation: Generation, level: Level = "word") -> Truth | None:
        """Which words cause which frames of the clip; None for a prompt about which that is not known.

        At `level="attention"`: through the cross-attention to their own tokens. What a text encoder has mixed into
        other tokens counts at the level of words alone.
        """
        return None


def check_offered(what: str, needs: frozenset[Capability], generator: Generator) -> None:
    missing = needs - generator.offers
    if missing:
        raise UnsupportedError(
            f"{what} needs {', '.join(sorted(missing))}, which generator {generator.name!r} does not offer"
        )
