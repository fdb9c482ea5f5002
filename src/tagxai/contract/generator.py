"""A text-to-audio model behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal
from weakref import WeakKeyDictionary

from tagxai.contract.attention import AttentionSite, edit_attention
from tagxai.contract.continuing import Beginning, Continuing
from tagxai.contract.guarding import guard
from tagxai.contract.hearing import Heard
from tagxai.contract.identity import Identity, changes, identify, stored_attributes
from tagxai.contract.request import Replay, Request, Setting
from tagxai.contract.timeline import Timeline
from tagxai.contract.truth import Level, Truth, Twin
from tagxai.contract.values import Branch, Conditioning, Generation, OnProgress, PrefixState, Progress, StepOutput
from tagxai.errors import UnsupportedError
from tagxai.lazy import Float, torch

Capability = Literal["gradients", "attention", "closes", "causal", "coupled", "truth"]
"""What a generator may promise beyond `generate` and `forward`:

    gradients   passes can be differentiated by the embeddings
    attention   attention can be seen and edited; a gate of ones is the plain pass
    closes      a gate of zeros on all tokens is the unconditional branch, and so are embeddings of zeros
    causal      a frame depends on earlier ones alone: `until` and `isolated_states`, perhaps `prefix_state`
    coupled     one seed under two prompts is one noise, so that the clips may be compared frame by frame
    truth       it is known which words cause which frames of a clip
"""

_identities: WeakKeyDictionary[Generator, tuple[int, Identity]] = WeakKeyDictionary()


class Generator(Continuing, ABC):
    """A text-to-audio model behind one interface. `batch` is a batch of conditionings for one and the same clip.

    Its methods need not care for the caller's modes and defaults, nor for numbers that are not finite:
    `tagxai.contract.guarding` surrounds those that a subclass writes.
    """

    name: ClassVar[str]
    offers: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention"})
    shards: ClassVar[bool] = False  # whether `load` takes the device "sharded": over all devices, by accelerate
    default_method: ClassVar[str | None] = None  # explains where none is named; None: by what the generator offers
    threads: ClassVar[int | None] = None  # of torch on a CPU that suit it; the command line sets them
    unit: ClassVar[str] = "nats per code"  # of `log_prob`
    guided_scores: ClassVar[bool] = True  # whether words can be scored by the log-probability of the guided branch

    sample_rate: int  # Hz
    frame_rate: float  # frames a second, Hz
    default_duration: ClassVar[float] = 5.0  # seconds
    max_duration: float  # seconds
    trained_duration: float | None = None  # seconds of the longest clips that it was trained on, where that is known

    def __init_subclass__(cls, guarded: bool = True, **options: Any) -> None:
        super().__init_subclass__(**options)
        if guarded:
            guard(cls)

    @classmethod
    @abstractmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> Generator:
        """Make the generator from a local folder or hub id; None takes the default. Raises TagxaiError."""

    def eight_bit_parts(self) -> Sequence[torch.nn.Module]:
        """The modules whose linear layers are kept in 8 bits if it is loaded in int8; none: it cannot be."""
        return ()

    # -- making audio --------------------------------------------------------------------------------------------

    @abstractmethod
    def timeline(self, duration: float | None = None) -> Timeline:
        """How a clip of `duration` seconds (None: the default) is laid out. Raises TagxaiError for a bad duration."""

    def sampling_settings(self) -> Sequence[Setting]:
        """What `Request.settings` may hold, with the defaults of this model."""
        return ()

    @abstractmethod
    def generate_one(self, request: Request, *, on_progress: OnProgress | None = None) -> Generation:
        """Sample one clip."""

    def generate_many(self, requests: Sequence[Request], *, on_progress: OnProgress | None = None) -> list[Generation]:
        """Sample a clip for each request, in order. A generator that can runs them as batches.

        On a CPU in float32 the clips are those of one-by-one calls, bit for bit.
        """
        clips = []
        for number, request in enumerate(requests):

            def report(progress: Progress, number: int = number) -> None:
                if on_progress is not None:
                    done = number * progress.total + progress.done
                    on_progress(Progress(done, len(requests) * progress.total, progress.message))

            clips.append(self.generate_one(request, on_progress=report))
        return clips

    def generate(
        self,
        prompt: str,
        *,
        duration: float | None = None,
        seed: int = 0,
        mask: Float[torch.Tensor, "positions tokens"] | None = None,
        branch: Branch = "guided",
        conditioning: Conditioning | None = None,
        beginning: Beginning | None = None,
        on_progress: OnProgress | None = None,
        **settings: Any,
    ) -> Generation:
        """Sample one clip of `prompt`; see `Request` for what the arguments mean, `sampling_settings` for the rest."""
        request = Request(prompt, duration, seed, mask, branch, settings, conditioning, beginning)
        return self.generate_many([request], on_progress=on_progress)[0]

    @abstractmethod
    def decode(self, generation: Generation) -> Float[torch.Tensor, "channels samples"]:
        """The sound of a clip's record, at `sample_rate`."""

    # -- looking at it -------------------------------------------------------------------------------------------

    @abstractmethod
    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """Tokenise and encode; padded where lengths differ, which changes no result. An empty text is `</s>` alone."""

    @abstractmethod
    def forward(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> StepOutput:
        """The clip run again: its own record in, hidden states and log-probabilities of its own outcomes out.

        Differentiable. `conditioning` (default: the generation's own prompt) may be a batch. `branch="guided"` mixes
        the predictions with the generation's guidance scale; `hidden` is then that of the conditional branch.
        """

    def hidden_states(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> Float[torch.Tensor, "batch positions dim"]:
        """`forward(...).hidden`, for callers that need no log-probabilities: a generator may leave those out."""
        return self.forward(generation, conditioning, branch=branch).hidden

    def hidden_states_many(self, replays: Sequence[Replay]) -> list[Float[torch.Tensor, "_batch _positions dim"]]:
        """`hidden_states` of several clips under gates, in order; differentiable. A generator that can runs them as one
        batch.

        On a CPU in float32 the states, and the gradients with respect to the gates, are those of one-by-one calls, bit
        for bit.
        """
        found = []
        for replay in replays:
            with edit_attention(self.cross_attention(), replay.edit):
                found.append(self.hidden_states(replay.generation, replay.conditioning))
        return found

    def attention_sites(self) -> Sequence[AttentionSite]:
        """All attention modules of the decoder, in order; none where "attention" is not offered."""
        return ()

    def cross_attention(self) -> Sequence[AttentionSite]:
        """The sites whose keys are the prompt's tokens."""
        return [site for site in self.attention_sites() if site.kind != "self" and site.reads == "prompt"]

    def ways_in(self, generation: Generation) -> Mapping[str, Conditioning]:
        """For each way by which a clip's texts reach the network: its conditioning, with nothing said by that way."""
        conditioning = self.encode_prompt([generation.prompt])
        return {"cross-attention": replace(conditioning, embeddings=torch.zeros_like(conditioning.embeddings))}

    # -- what causal models can besides --------------------------------------------------------------------------

    def until(self, generation: Generation, frame: int) -> Generation:
        """The shortest clip that predicts the frames before `frame` as the whole clip does: itself, if not causal."""
        return generation

    def prefix_state(
        self, generation: Generation, conditioning: Conditioning, positions: int, *, branch: Branch = "conditional"
    ) -> PrefixState:
        """The first `positions` of the clip under one prompt, for `forward_from` to continue under others.

        With `branch="guided"` it holds the unconditional branch of the whole clip besides, which is then run once.
        """
        raise self._unsupported("continue from the middle of a clip")

    def forward_from(
        self,
        prefix: PrefixState,
        generation: Generation,
        conditioning: Conditioning,
        *,
        branch: Branch = "conditional",
    ) -> StepOutput:
        """As `forward`, but from the end of `prefix`: positions and frames of the output count from there."""
        raise self._unsupported("continue from the middle of a clip")

    def isolated_states(
        self, generation: Generation, conditioning: Conditioning
    ) -> Float[torch.Tensor, "batch positions dim"]:
        """Hidden states of each position alone, without audio context, as AudioGenX's public scripts compute them.

        Edits then see `batch * positions` rows of one query at position 0.
        """
        raise self._unsupported("run single positions without their audio context")

    def _unsupported(self, what: str) -> UnsupportedError:
        return UnsupportedError(
            f"generator {self.name!r} cannot {what}: a model that is not causal, or keeps no caches"
        )

    # -- what models from one noise can besides ------------------------------------------------------------------

    def distance(self, clip: Generation, other: Generation) -> Float[torch.Tensor, " frames"]:
        """How far apart two clips from one noise are at each frame; 0 where they are the same ("coupled")."""
        raise UnsupportedError(f"generator {self.name!r} cannot compare clips frame by frame: they share no noise")

    # -- what it understands, and what is heard ------------------------------------------------------------------

    def remarks(self, prompt: str) -> Sequence[str]:
        """Why the model may not do what a prompt asks for, a sentence each, before anything is generated."""
        return ()

    def heard(self, generation: Generation) -> Heard | None:
        """What a detector hears in a clip, beside what its prompt asks for; None for a model without a detector."""
        return None

    # -- what is inside ------------------------------------------------------------------------------------------

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """The models that it holds, by name: their sizes count as memory, their modes are watched and restored."""
        return {}

    def lacks(self) -> Mapping[Capability, str]:
        """What of `offers` it cannot do as it is now, and why: of weights that have been quantised, say."""
        return {}

    def identity(self) -> Identity:
        """What decides its results: all that it has as attributes, weights bit for bit, modules with their settings,
        configurations, tokenizers; not where it is stored. Computed once, and again when a weight was changed in place.

        A generator that reads anything else extends it.
        """
        version = changes(self.modules().values())
        known = _identities.get(self)
        if known is None or known[0] != version:
            attributes = stored_attributes(self) | {
                "sampling_settings": {each.name: each.default for each in self.sampling_settings()},
                "default_duration": self.default_duration,
            }
            found = identify(attributes, getattr(self, "dtype", "unknown"), getattr(self, "source", "") or "")
            known = _identities[self] = version, found
        return known[1]

    def parameters_by_part(self) -> Mapping[str, Sequence[torch.Tensor]]:
        """The trained weights that lead from the text to the outcomes, from the output back: "heads", then of each
        layer, last first, "layer3" and "layer3.cross" (its cross-attention), and "text_encoder". Empty where they are
        not known. For metrics that randomise a copy of the model."""
        return {}

    def truth(self, generation: Generation, level: Level = "word") -> Truth | None:
        """Which words cause which frames of the clip; None for a prompt about which that is not known.

        At `level="attention"`: through the cross-attention to their own tokens. What a text encoder has mixed into
        other tokens counts at the level of words alone. At `level="now"`: through these tokens at the very time of the
        sound, and not by way of the clip's past.
        """
        return None

    def knows_truth_of(self, prompt: str) -> bool:
        """Whether the truth about clips of a prompt can be known at all: answered without making one."""
        return "truth" in self.offers

    def twin(self, generation: Generation) -> Twin | None:
        """The clip without one of its events, for the twin test; None where there is none, or its truth is not known.

        It is presented as a clip of the whole prompt, so that an explanation of it must not follow the prompt alone.
        """
        return None


def check_offered(what: str, needs: frozenset[Capability], generator: Generator, remedy: str = "") -> None:
    """Raises UnsupportedError naming what is missing, and the `remedy`: what would work."""
    for capability, reason in generator.lacks().items():
        if capability in needs:
            raise UnsupportedError(f"{what} needs {capability}, which generator {generator.name!r} lacks: {reason}")
    missing = needs - generator.offers
    if missing:
        raise UnsupportedError(
            f"{what} needs {', '.join(sorted(missing))}, which generator {generator.name!r} does not offer"
            + (f"; {remedy}" if remedy else "")
        )


def check_guided_scores(generator: Generator, target: str) -> None:
    """Raises UnsupportedError where `target` is "guided", and guidance makes that no measure of the words."""
    if target == "guided" and not generator.guided_scores:
        raise UnsupportedError(
            f"generator {generator.name!r} cannot be scored with target=guided: guidance overshoots what the words ask "
            "for, so that removing one can bring the prediction nearer to the clip; use target=conditional or contrast"
        )
