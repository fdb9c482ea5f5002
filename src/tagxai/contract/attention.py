"""The hooking layer: see the softmax weights of an attention site, and return new ones or None.

Capturing is an edit that returns None; AudioGenX's mask is an edit that multiplies. One edit serves a teacher-forced
pass (all steps in one call) and streaming generation (one step a call): it asks `position()` for its first step.
Edits are installed for the length of a `with` block and are gone after it, also when it ends in an exception. They
belong to the context that entered the block: threads, tasks and callers each see their own.
Weights are recomputed only at sites with an edit; everywhere else the model's fused attention runs as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any, Literal

from tagxai.contract.suspension import running_frames, suspendable_frames
from tagxai.errors import UnsupportedError
from tagxai.lazy import Float, torch

Edit = Callable[["AttentionSite", Any], Any]
"""`edit(site, weights[batch, heads, queries, keys]) -> new weights, or None to leave them`."""


@dataclass(frozen=True)
class AttentionSite(ABC):
    """One attention module: where it is, and how its backend is made to ask for edits (each has its own subclass).

    Edits see one layout everywhere: `[batch, heads, positions, tokens]`, prompt tokens only, padding hidden. What has
    no frame of its own is dealt with inside the site.
    """

    name: str
    layer: int
    kind: Literal["cross", "self", "joint"]
    """Whether keys are the prompt's tokens, the decoder's own positions, or both side by side (`joint`)."""
    heads: int
    module: Any = field(repr=False, compare=False)
    """What identifies the site among those of all models of this process."""
    signed: bool = field(default=False, kw_only=True)
    """Whether weights may be negative, as in differential attention."""
    reads: str = field(default="prompt", kw_only=True)
    """Whose tokens a cross-attention's keys are: the `prompt`, or another text, such as `lyrics`."""
    padded: bool = field(default=False, kw_only=True)
    """Whether hidden keys, such as padding without a mask, take a share: the weights shown sum to less than 1."""
    levels: int = field(default=1, kw_only=True)
    """Noise levels at which `forward` runs a clip, side by side. They fold into `heads`, the noisiest first:
    `weights.unflatten(1, (levels, -1))` has them apart. A call that denoises shows the heads of its one level."""

    @abstractmethod
    def watched(self) -> AbstractContextManager[None]:
        """Inside the block, the backend passes this site's weights through `run_edits`.

        Blocks of several callers and threads overlap; the backend counts them. Which edits run is decided by the
        context of each call, not by the block.
        """

    def scaling(self) -> AbstractContextManager[None]:
        """Inside the block, the backend passes this site's value vectors through `scale_rows`.

        A backend that cannot leaves this out: `scale_values` then edits the weights, which comes to the same.
        """
        raise UnsupportedError(f"attention site {self.name!r} does not show its value vectors")

    @property
    def projection(self) -> torch.nn.Module:
        """W_o, which reads the heads side by side, `[batch, queries, heads * width]`, and writes to the stream."""
        raise UnsupportedError(f"attention site {self.name!r} does not show its output projection")

    @property
    def block(self) -> torch.nn.Module:
        """The decoder layer around the site."""
        raise UnsupportedError(
            f"attention site {self.name!r} does not show the layer around it; methods that take words away, such as "
            "'shapley', do without"
        )

    def framed(
        self, states: Float[torch.Tensor, "rows queries dim"], positions: int
    ) -> Float[torch.Tensor, "batch levels positions dim"]:
        """What `projection` reads, or what `block` reads and writes, at the clip's positions and noise levels."""
        return states[:, None]

    def check_plain_residual(self) -> None:
        """Raises UnsupportedError unless the layer adds what `projection` gives to its stream, and nothing else."""
        raise UnsupportedError(f"attention site {self.name!r} does not say how its layer adds its output")


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """What an edit can look at besides the weights: the logits of the softmax, and the values that are weighed."""

    logits: Float[torch.Tensor, "batch heads queries keys"]
    values: Float[torch.Tensor, "batch heads keys width"]


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a generator's batch whose attention to the text runs apart from that of the others.

    They have prompts of `tokens` tokens without padding, conditional rows first, and `edit` is the gate of their
    requests. Run so, each row is computed as it would be alone.
    """

    rows: slice
    tokens: int
    conditional_rows: int | None
    edit: Edit | None = None


@dataclass(frozen=True)
class Position:
    """Where in the clip a model call is: its first step, and how many leading batch rows are conditional.

    `edit` is what the generator itself does to the weights of the text's tokens in this call. A batch of several
    `parts` says so for each of them. `levels` are the noise levels that each row of the batch is run at in this call.
    A call that denoises has one, and `level` is its number among those that `forward` runs again; None: not among them.
    """

    first_step: int = 0
    conditional_rows: int | None = None
    edit: Edit | None = None
    parts: tuple[Part, ...] = ()
    levels: int = 1
    level: int | None = 0

    def of(self, part: Part) -> Position:
        """The position of one of the parts."""
        return Position(self.first_step, part.conditional_rows, part.edit)


_START = Position()

_position: ContextVar[Position] = ContextVar("tagxai_position", default=_START)


def position() -> Position:
    """The position of the model call under way; a teacher-forced pass starts at step 0."""
    return _position.get()


_call: ContextVar[AttentionCall | None] = ContextVar("tagxai_attention_call", default=None)


def attention_call() -> AttentionCall:
    """For edits: the call that their weights belong to, in the rows that they are shown."""
    call = _call.get()
    if call is None:
        raise UnsupportedError("this generator's attention sites show neither logits nor values to an edit")
    return call


@contextmanager
def at(where: Position) -> Iterator[None]:
    """For generators: say where a streaming call is, and hide the unconditional rows of a guided batch from edits."""
    token = _position.set(where)
    try:
        yield
    finally:
        _position.reset(token)


def at_position(first_step: int, conditional_rows: int | None = None) -> AbstractContextManager[None]:
    """As `at`, for a batch without gates of its own."""
    return at(Position(first_step, conditional_rows))


@dataclass(frozen=True, eq=False)
class _Installed:
    """An edit or a scale of values, where it applies, and the Python generators that its block was entered in."""

    modules: frozenset[int]
    edit: Edit | None
    scale: torch.Tensor | None
    entered_in: tuple[FrameType, ...]

    def applies(self, site: AttentionSite, running: frozenset[int]) -> bool:
        return id(site.module) in self.modules and all(id(frame) in running for frame in self.entered_in)


_installed: ContextVar[tuple[_Installed, ...]] = ContextVar("tagxai_edits", default=())


def installed_edits() -> int:
    """How many blocks of `edit_attention` and `scale_values` are entered, and not yet left, in this context."""
    return len(_installed.get())


@contextmanager
def edit_attention(sites: Iterable[AttentionSite], edit: Edit) -> Iterator[None]:
    """Run `edit` on the weights of every site inside the block. Blocks nest; the inner edit sees the outer's result.

    An edit belongs to the caller: other threads and tasks do not see it, nor does whoever iterates over a Python
    generator that is suspended inside such a block.
    """
    sites = list(sites)
    with _entered(sites, edit, None), ExitStack() as stack:
        for site in sites:
            stack.enter_context(site.watched())
        yield


@contextmanager
def scale_values(sites: Iterable[AttentionSite], scale: Float[torch.Tensor, "batch tokens"]) -> Iterator[None]:
    """Scale the value vectors of the tokens at every site inside the block: a gate that is the same at all positions.

    sum_i A[t, i] g[i] v[i] is the same either way; a backend that can reach the value vectors keeps its fused
    attention.
    """
    with ExitStack() as stack:
        for site in sites:
            try:
                scaling = site.scaling()
            except UnsupportedError:
                scaled = partial(_scaled_weights, scale=scale)
                stack.enter_context(edit_attention([site], scaled))
            else:
                stack.enter_context(_entered([site], None, scale))
                stack.enter_context(scaling)
        yield


def _scaled_weights(site: AttentionSite, weights: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return weights * scale[:, None, None].to(weights)


@contextmanager
def _entered(sites: Sequence[AttentionSite], edit: Edit | None, scale: torch.Tensor | None) -> Iterator[None]:
    mine = _Installed(frozenset(id(site.module) for site in sites), edit, scale, suspendable_frames())
    _installed.set((*_installed.get(), mine))
    try:
        yield
    finally:  # whatever the order in which blocks end, each takes away its own
        _installed.set(tuple(other for other in _installed.get() if other is not mine))


def _here(site: AttentionSite) -> list[_Installed]:
    """What is installed at a site in the context of this call."""
    installed = _installed.get()
    if not installed:
        return []
    running = running_frames() if any(each.entered_in for each in installed) else frozenset()
    return [each for each in installed if each.applies(site, running)]


def is_edited(site: AttentionSite) -> bool:
    """For backends: whether this call has an edit at the site, so that its weights are computed."""
    return bool(edits_of_call(site))


def is_scaled(site: AttentionSite) -> bool:
    """For backends: whether this call has value vectors scaled at the site."""
    return any(each.scale is not None for each in _here(site))


def edits_of_call(site: AttentionSite) -> list[Edit]:
    """For backends: what this call does to the weights of a site, in this order."""
    edits = [each.edit for each in _here(site) if each.edit is not None]
    own = position().edit
    return edits if own is None or site.kind == "self" or site.reads != "prompt" else [*edits, own]


def scale_rows(site: AttentionSite, values: Float[torch.Tensor, "batch *heads keys width"]) -> torch.Tensor:
    """For backends: the site's `values` as scaled in this call, but for the unconditional rows of a guided batch."""
    rows = position().conditional_rows
    for each in _here(site):
        if each.scale is None or rows == 0:
            continue
        factors = (each.scale[..., None] if values.ndim == 3 else each.scale[:, None, :, None]).to(values)
        values = values * factors if rows is None else torch.cat([values[:rows] * factors[:rows], values[rows:]])
    return values


def run_edits(
    site: AttentionSite,
    weights: Float[torch.Tensor, "batch heads queries keys"],
    logits: Float[torch.Tensor, "batch heads queries keys"] | None = None,
    values: Float[torch.Tensor, "batch heads keys width"] | None = None,
) -> Float[torch.Tensor, "batch heads queries keys"]:
    """For backends: `weights` after this call's edits, of the conditional rows alone where the call has two halves."""
    rows = position().conditional_rows
    edits = edits_of_call(site)
    if rows == 0 or not edits:  # a pass of the unconditional branch alone
        return weights
    shown = weights if rows is None else weights[:rows]
    call = None if logits is None or values is None else AttentionCall(logits[: len(shown)], values[: len(shown)])
    token = _call.set(call)
    try:
        for edit in edits:
            edited = edit(site, shown)
            shown = shown if edited is None else edited
    finally:
        _call.reset(token)
    if rows is None:
        return shown
    return weights if shown is weights else torch.cat([shown, weights[rows:]])
