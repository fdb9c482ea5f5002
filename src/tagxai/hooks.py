"""The hooking layer: see the softmax weights of an attention site, and return new ones or None.

Capturing is an edit that returns None; AudioGenX's mask is an edit that multiplies. One edit serves a teacher-forced
pass (all steps in one call) and streaming generation (one step a call): it asks `position()` for its first step.
Edits are installed for the length of a `with` block and are gone after it, also when it ends in an exception.
Weights are recomputed only at sites with an edit; everywhere else the model's fused attention runs as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float

from tagxai.errors import TagxaiError, UnsupportedError
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


def choose(kind: str, numbers: str | None, count: int) -> list[int]:
    """Layers or heads by number, written "0,3,-1" (-1 is the last); None is all of them. Raises TagxaiError."""
    if numbers is None:
        return list(range(count))
    try:
        chosen = [int(number) for number in numbers.split(",")]
    except ValueError:
        raise TagxaiError(f"{kind}s are numbers joined by commas, such as 0,3,-1; not {numbers!r}") from None
    for number in chosen:
        if not -count <= number < count:
            raise TagxaiError(f"no {kind} {number}: the model has {kind}s 0 to {count - 1} (-1 is the last)")
    return sorted({number % count for number in chosen})


def chosen_layers(sites: Sequence[AttentionSite], numbers: str | None) -> list[AttentionSite]:
    """The sites of the chosen layers, of sites with one to a layer. Raises TagxaiError."""
    return [sites[i] for i in choose("layer", numbers, len(sites))]


class Gate:
    """An edit that multiplies the weights of each text token, after the softmax and not renormalised.

    `gate[batch or 1, steps, tokens]`, or `[steps, tokens]` for all rows; shared by all heads and by all sites it is
    installed at. Gradients flow into it. (AudioGenX, Kang et al. 2025: A~[t, i] = M[t, i] * A[t, i].)
    """

    def __init__(self, gate: Float[torch.Tensor, "*batch steps tokens"]) -> None:
        self.gate = gate if gate.ndim == 3 else gate[None]

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> torch.Tensor:
        first, queries = position().first_step, weights.shape[2]
        rows = self.gate[:, first : first + queries]
        if rows.shape[1:] != weights.shape[2:]:
            raise ValueError(
                f"a gate of {self.gate.shape[1]} steps x {self.gate.shape[2]} tokens does not fit {site.name} at steps "
                f"{first}..{first + queries - 1} over {weights.shape[3]} tokens"
            )
        return weights * rows[:, None].to(weights)


class Capture:
    """An edit that only looks: the mean of the weights over layers and heads, kept as running sums.

    With `keep_layers` or `keep_heads` that axis stays. `weights()` gives `[batch, (layers), (heads), queries, keys]`
    of a teacher-forced pass, or of a whole streaming run, whose steps are joined in order.
    """

    def __init__(self, *, keep_layers: bool = False, keep_heads: bool = False) -> None:
        self.keep_layers, self.keep_heads = keep_layers, keep_heads
        # layer (or 0) -> first step -> sum over what is not kept, and of how many
        self._sums: dict[int, dict[int, tuple[torch.Tensor, int]]] = {}
        self._device: torch.device | None = None  # of the first weights; layers of a sharded model have several

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        self._device = self._device or weights.device
        weights = weights.detach().to(self._device)
        seen = weights if self.keep_heads else weights.mean(1, keepdim=True)
        steps = self._sums.setdefault(site.layer if self.keep_layers else 0, {})
        first = position().first_step
        total, count = steps.get(first, (torch.zeros_like(seen), 0))
        if total.shape != seen.shape:
            raise ValueError(f"{site.name} has weights of another shape than the sites before it; capture them apart")
        steps[first] = (total + seen, count + 1)

    def weights(self) -> torch.Tensor:
        """The captured weights; a mean over whatever axis was not kept. Raises RuntimeError if no pass was seen."""
        if not self._sums:
            raise RuntimeError("nothing was captured: run the model inside `with edit_attention(sites, capture):`")
        layers = torch.stack([_join(steps) for _, steps in sorted(self._sums.items())], dim=1)
        if not self.keep_layers:
            layers = layers[:, 0]
            return layers if self.keep_heads else layers[:, 0]
        return layers if self.keep_heads else layers[:, :, 0]


def _join(steps: dict[int, tuple[torch.Tensor, int]]) -> torch.Tensor:
    """Pieces of a streaming run side by side along the query axis; self-attention's growing keys padded with zeros."""
    pieces = [total / count for _, (total, count) in sorted(steps.items())]
    keys = max(piece.shape[-1] for piece in pieces)
    return torch.cat([torch.nn.functional.pad(piece, (0, keys - piece.shape[-1])) for piece in pieces], dim=-2)
