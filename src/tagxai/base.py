"""The whole contract: a Generator makes audio and can be scored, a Method explains it, a Metric measures the answer.

A plugin subclasses one of the three and registers the class (see `tagxai.hookspecs`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from math import isfinite
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from jaxtyping import Float, Int

from tagxai.attribution import Attribution
from tagxai.errors import TagxaiError, UnknownNameError, UnsupportedError
from tagxai.hooks import AttentionSite
from tagxai.lazy import torch
from tagxai.memory import Workload
from tagxai.truth import Level, Truth
from tagxai.types import Branch, Conditioning, Generation, Memory, OnProgress, StepOutput

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


class Configurable:
    """What methods and metrics share: a frozen dataclass (or no fields at all) whose fields are its options."""

    name: ClassVar[str]

    def settings(self) -> dict[str, Any]:
        """The options, as they go into a saved result."""
        return asdict(self) if is_dataclass(self) else {}

    @classmethod
    def configure(cls, options: Mapping[str, Any]) -> Self:
        """Make it from options by name; values may be text (`--set key=value`).

        Raises TagxaiError for a wrong key or value.
        """
        kind = cls._kind()
        types = get_type_hints(cls)
        known: dict[str, Any] = {f.name: types[f.name] for f in fields(cls)} if is_dataclass(cls) else {}
        for key in options:
            if key not in known:
                raise UnknownNameError(f"option of {kind} {cls.name!r}", key, known)
        return cls(
            **{
                key: _parse(f"option {key!r} of {kind} {cls.name!r}", value, known[key])
                if isinstance(value, str)
                else value
                for key, value in options.items()
            }
        )

    def require(self, option: str, holds: bool, expected: str) -> None:
        """For `__post_init__`: raises TagxaiError naming the option where what must hold does not."""
        if not holds:
            given = getattr(self, option)
            raise TagxaiError(
                f"option {option!r} of {self._kind()} {self.name!r} must be {expected}, not "
                f"{f'{given:g}' if isinstance(given, float) else given}"
            )

    @classmethod
    def _kind(cls) -> str:
        return "metric" if issubclass(cls, Metric) else "method"


class Method(Configurable, ABC):
    """An attribution method: a frozen dataclass whose fields are its hyper-parameters.

    `needs` says what it asks of a generator; a mismatch is an error before any work (`check_supported`).
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Capability]] = frozenset()
    passes: ClassVar[str] = "not stated"  # of the model that it takes, in words: its class of cost

    @abstractmethod
    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution: ...

    def memory(self, work: Workload) -> int:
        """Bytes that `attribute` takes at its peak beside the weights, for the estimate before a run."""
        return work.backward(2) if "gradients" in self.needs else work.forward(work.batch)

    def check_supported(self, generator: Generator) -> None:
        """Raises UnsupportedError naming what is missing."""
        _check_offered(f"method {self.name!r}", self.needs, generator)


class Metric(Configurable, ABC):
    """A measure of one explanation: a number with a direction and bounds. `needs` is as that of a method.

    `cost` says in words what it takes: "arithmetic", or passes or clips of the model.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    cost: ClassVar[str] = "arithmetic"
    needs: ClassVar[frozenset[Capability]] = frozenset()

    @abstractmethod
    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float: ...

    def check_supported(self, generator: Generator) -> None:
        """Raises UnsupportedError naming what is missing."""
        _check_offered(f"metric {self.name!r}", self.needs, generator)


class MethodMetric(Metric):
    """A measure of the method behind an explanation, which it asks again: of another clip, seed or model.

    `tagxai.measuring.measure` finds the method that an attribution names.
    """

    @abstractmethod
    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float: ...

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        self.check_supported(generator)
        raise TagxaiError(
            f"metric {self.name!r} asks the method again: call score_method with it, or tagxai.measuring.measure"
        )


def _check_offered(what: str, needs: frozenset[Capability], generator: Generator) -> None:
    missing = needs - generator.offers
    if missing:
        raise UnsupportedError(
            f"{what} needs {', '.join(sorted(missing))}, which generator {generator.name!r} does not offer"
        )


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _parse(what: str, text: str, kind: Any) -> Any:
    """Read an option's text as its field's type: a Literal, bool, int, float or str, each perhaps `| None`."""
    choices = get_args(kind)
    if get_origin(kind) is Literal:
        if text not in choices:
            raise UnknownNameError(f"value for {what}", text, choices)
        return text
    if get_origin(kind) is Mapping:
        raise TagxaiError(f"{what} takes a table, which text cannot be: {text!r}")
    if choices:  # a union with None
        if text.lower() == "none":
            return None
        (kind,) = (choice for choice in choices if choice is not type(None))
        return _parse(what, text, kind)
    try:
        value = _TRUTH[text.lower()] if kind is bool else kind(text)
        if kind is float and not isfinite(value):
            raise ValueError(text)
        return value
    except (ValueError, KeyError):
        raise TagxaiError(f"{what} takes {kind.__name__}, not {text!r}") from None
