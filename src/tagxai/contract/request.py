"""What a generator is asked for: a clip and the settings that it is sampled with, or a pass over a clip that exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, get_args

from tagxai.contract.attention import AttentionSite
from tagxai.contract.continuing import Beginning
from tagxai.contract.magnitude import check_magnitude, shown
from tagxai.contract.values import Branch, Conditioning, Generation
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import Float, torch
from tagxai.text.normalising import normalise


@dataclass(frozen=True)
class Setting:
    """A sampling setting that a generator declares, from which command line, plans and pages offer it."""

    name: str
    kind: type
    """`int`, `float` or `str`."""
    default: Any
    help: str
    lowest: float | int = -inf
    highest: float | int = inf

    def read(self, value: Any) -> Any:
        """`value`, perhaps as text, as this setting's kind. Raises TagxaiError."""
        try:
            found = self.kind(value)
            if self.kind is int and not isinstance(value, str) and found != value:
                raise ValueError(value)  # a fraction
        except (TypeError, ValueError, OverflowError):
            raise self._refused(value) from None
        is_number = self.kind is int or (self.kind is float and isfinite(found))
        if self.kind is not str and not (is_number and self.lowest <= found <= self.highest):
            raise self._refused(value)
        check_magnitude(self.name, found, seed=self.name == "seed")
        return found

    @property
    def takes(self) -> str:
        """Which values it takes, in words."""
        what = {int: "a whole number", float: "a number", str: "text"}[self.kind]
        low, high = (f"{bound:g}" for bound in (self.lowest, self.highest))
        bounds = {
            (False, False): "",
            (True, False): f" of at least {low}",
            (False, True): f" of at most {high}",
            (True, True): f" from {low} to {high}",
        }[isfinite(self.lowest), isfinite(self.highest)]
        return what + bounds

    def _refused(self, value: Any) -> TagxaiError:
        return TagxaiError(f"{self.name} must be {self.takes}, not {shown(value)}")


def read_settings(declared: Iterable[Setting], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """All settings that `owner` declares: those `given` (None is not given), the others at their defaults.

    Raises TagxaiError for a name that is not declared, or a value out of range.
    """
    known = {setting.name: setting for setting in declared}
    for name, value in given.items():
        if name not in known and value is not None:
            raise UnknownNameError(f"sampling setting of {owner}", name, known)
    return {
        name: setting.default if given.get(name) is None else setting.read(given[name])
        for name, setting in known.items()
    }


def check_prompt(prompt: object) -> None:
    """Raises TagxaiError for a prompt without words, or one that is no text (or holds half of a surrogate pair)."""
    if not isinstance(prompt, str):
        raise TagxaiError(f"the prompt must be text, not {type(prompt).__name__} {shown(prompt)}")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise TagxaiError(f"the prompt {prompt!a:.80} is not valid UTF-8 text") from None
    if not normalise(prompt).text:
        raise TagxaiError("the prompt is empty; give some words, such as 'a dog barks while rain falls'")


@dataclass(frozen=True, eq=False)
class Request:
    """One clip: its prompt, its length in seconds, its seed and how it is sampled. None takes the generator's default.

    `mask` gates the text tokens of the conditional branch at every cross-attention site while sampling: factual audio
    with a method's mask, counterfactual with one minus it. `branch="unconditional"` ignores the prompt. `conditioning`
    is the prompt, encoded by the same generator, where the caller has it already. The clip starts with `beginning`,
    which counts in `duration`, and continues it.
    """

    prompt: str
    duration: float | None = None
    seed: int = 0
    mask: Float[torch.Tensor, "positions tokens"] | None = None
    branch: Branch = "guided"
    settings: Mapping[str, Any] = field(default_factory=dict)
    conditioning: Conditioning | None = None
    beginning: Beginning | None = None

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        if self.branch not in get_args(Branch):
            raise UnknownNameError("branch", str(self.branch), get_args(Branch))
        if self.duration is not None and not isinstance(self.duration, Real):
            raise TagxaiError(f"the duration must be a number of seconds, not {shown(self.duration)}")
        if not isinstance(self.seed, Integral) or not 0 <= self.seed < 2**63:
            raise TagxaiError(f"the seed must be a whole number from 0 to 2^63 - 1, not {shown(self.seed)}")
        if self.mask is not None and not isinstance(self.mask, torch.Tensor):
            raise TagxaiError(f"the mask must be a tensor [positions, tokens], not {type(self.mask).__name__}")

    @classmethod
    def again(
        cls,
        generation: Generation,
        *,
        seed: int | None = None,
        mask: Float[torch.Tensor, "positions tokens"] | None = None,
        branch: Branch | None = None,
        prompt: str | None = None,
        conditioning: Conditioning | None = None,
    ) -> Request:
        """The request that `generation` answers, with something changed."""
        settings = dict(generation.settings)
        own: Branch = settings.pop("branch", "guided")
        return cls(
            generation.prompt if prompt is None else prompt,
            generation.duration,
            generation.seed if seed is None else seed,
            mask,
            branch or own,
            settings,
            conditioning,
            Beginning.of(generation, generation.given),
        )


def check_requests(requests: object) -> None:
    """Raises TagxaiError for anything but a list of requests, for which prompts are easily taken."""
    remedy = "for a prompt, write Request(prompt), or call generate(prompt)"
    if isinstance(requests, (str, bytes)) or not isinstance(requests, Sequence):
        raise TagxaiError(f"clips are made from a list of Request, not {type(requests).__name__}; {remedy}")
    for each in requests:
        if not isinstance(each, Request):
            raise TagxaiError(f"clips are made from Request, not {type(each).__name__} {shown(each)}; {remedy}")


def check_prompts(prompts: object) -> None:
    """Raises TagxaiError for anything but a list of at least one text."""
    if isinstance(prompts, (str, bytes)) or not isinstance(prompts, Sequence):
        raise TagxaiError(
            f"prompts to encode come as a list, such as ['rain'], not as {type(prompts).__name__} {shown(prompts)}"
        )
    if not prompts:
        raise TagxaiError("there is nothing to encode in an empty list of prompts; give at least one, such as ['rain']")
    for each in prompts:
        if not isinstance(each, str):
            raise TagxaiError(f"each prompt to encode must be text, not {type(each).__name__} {shown(each)}")


@dataclass(frozen=True, eq=False)
class Replay:
    """One clip to be run again under `conditioning`, a batch; `gate` multiplies the weights of the text's tokens at
    every cross-attention site."""

    generation: Generation
    conditioning: Conditioning
    gate: Float[torch.Tensor, "batch positions tokens"]

    def edit(self, site: AttentionSite, weights: torch.Tensor) -> torch.Tensor:
        """The gate, as `edit_attention` takes it."""
        return weights * self.gate[:, None].to(weights)
