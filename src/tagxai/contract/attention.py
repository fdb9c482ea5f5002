"""The hooking layer: see the softmax weights of an attention site, and return new ones or None.

Capturing is an edit that returns None; AudioGenX's mask is an edit that multiplies. One edit serves a teacher-forced
pass (all steps in one call) and streaming generation (one step a call): it asks `position()` for its first step.
Edits are installed for the length of a `with` block and are gone after it, also when it ends in an exception.
Weights are recomputed only at sites with an edit; everywhere else the model's fused attention runs as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float

from tagxai.errors import UnsupportedError
from tagxai.lazy import torch

Edit = Callable[["AttentionSite", Any], Any]
"""`edit(site, weights[batch, heads, queries, keys]) -> new weights, or None to leave them`."""


@dataclass(frozen=True)
class AttentionSite(ABC):
    """One attention module: where it is, and how an edit is installed there (each backend has its own subclass)."""

    name: str
    layer: int
    kind: Literal["cross", "self"]
    heads: int

    @abstractmethod
    def hooked(self, edit: Edit) -> AbstractContextManager[None]:
        """Install `edit` inside the `with` block."""

    def scaled(self, scale: Float[torch.Tensor, "batch keys"]) -> AbstractContextManager[None]:
        """Scale the value vector of each key inside the `with` block.

        This is what a gate does that is the same at all steps: sum_i A[t, i] g[i] v[i] either way. A backend that can
        reach the value vectors scales them and keeps its fused attention.
        """
        return self.hooked(lambda site, weights: weights * scale[:, None, None].to(weights))

    @property
    def projection(self) -> torch.nn.Linear:
        """W_o, which reads the heads side by side, `[batch, queries, heads * width]`, and writes to the stream."""
        raise UnsupportedError(f"attention site {self.name!r} does not show its output projection")

    @property
    def block(self) -> torch.nn.Module:
        """The decoder layer around the site."""
        raise UnsupportedError(f"attention site {self.name!r} does not show the layer around it")

    def check_plain_residual(self) -> None:
        """Raises UnsupportedError unless the layer adds what `projection` gives to its stream, and nothing else."""
        raise UnsupportedError(f"attention site {self.name!r} does not say how its layer adds its output")


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """What an edit can look at besides the weights: the logits of the softmax, and the values that are weighed."""

    logits: Float[torch.Tensor, "batch heads queries keys"]
    values: Float[torch.Tensor, "batch heads keys width"]


@dataclass(frozen=True)
class Position:
    """Where in the clip a model call is: its first step, and how many leading batch rows are conditional."""

    first_step: int = 0
    conditional_rows: int | None = None


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
def at_position(first_step: int, conditional_rows: int | None = None) -> Iterator[None]:
    """For generators: say where a streaming call is, and hide the unconditional rows of a guided batch from edits."""
    token = _position.set(Position(first_step, conditional_rows))
    try:
        yield
    finally:
        _position.reset(token)


_open_blocks = 0


def open_blocks() -> int:
    """How many blocks of `edit_attention` and `scale_values` of this process are entered and not yet left."""
    return _open_blocks


@contextmanager
def _block() -> Iterator[ExitStack]:
    global _open_blocks
    _open_blocks += 1
    try:
        with ExitStack() as stack:
            yield stack
    finally:
        _open_blocks -= 1


@contextmanager
def edit_attention(sites: Iterable[AttentionSite], edit: Edit) -> Iterator[None]:
    """Run `edit` on the weights of every site inside the block. Blocks nest; the inner edit sees the outer's result."""
    with _block() as stack:
        for site in sites:
            stack.enter_context(site.hooked(edit))
        yield


@contextmanager
def scale_values(sites: Iterable[AttentionSite], scale: Float[torch.Tensor, "batch keys"]) -> Iterator[None]:
    """Scale the value vectors of the keys at every site inside the block: a gate that is the same at all steps."""
    with _block() as stack:
        for site in sites:
            stack.enter_context(site.scaled(scale))
        yield


def scale_rows(
    values: Float[torch.Tensor, "batch keys width"], scale: Float[torch.Tensor, "rows keys"]
) -> Float[torch.Tensor, "batch keys width"]:
    """For backends: scaled `values`, but for the unconditional rows of the call under way."""
    rows = position().conditional_rows
    if rows is None:
        return values * scale[..., None].to(values)
    return torch.cat([values[:rows] * scale[:rows, :, None].to(values), values[rows:]]) if rows else values


def run_edits(
    edits: Iterable[Edit],
    site: AttentionSite,
    weights: torch.Tensor,
    logits: torch.Tensor | None = None,
    values: torch.Tensor | None = None,
) -> torch.Tensor:
    """For backends: pass `weights` through the edits, the conditional rows alone where the call has two halves."""
    rows = position().conditional_rows
    if rows == 0:  # a pass of the unconditional branch alone
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
