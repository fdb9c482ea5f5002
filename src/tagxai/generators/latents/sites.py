"""Attention sites of models that denoise latents: every edit sees frames and prompt tokens, all noise levels at once.

A model runs `batch * levels` rows, levels innermost. Edits see `[batch, levels * heads, frames, tokens]`, the noisiest
level first. Keys beyond the prompt's tokens (padding) and queries that are no frame of the clip (a prepended token,
memory tokens, frames after the clip's end) are hidden; such a query takes the mean of the frames' gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from tagxai.contract.attention import AttentionSite, position, run_edits, scale_rows
from tagxai.lazy import Float, torch


class Shown(NamedTuple):
    """What edits are shown in a call: so many frames of the clip, and tokens of the prompt."""

    frames: int
    tokens: int


_shown: ContextVar[Shown] = ContextVar("tagxai_shown")


@contextmanager
def showing(frames: int, tokens: int) -> Iterator[None]:
    """For the base of these generators: what the edits of a call are shown."""
    token = _shown.set(Shown(frames, tokens))
    try:
        yield
    finally:
        _shown.reset(token)


@dataclass(frozen=True)
class LatentSite(AttentionSite):
    """A backend's subclass says how its module asks: `watched`, and `edited` and `scaled` inside of it."""

    prepended: int = field(default=0, kw_only=True)
    """Queries before those of the frames."""

    def framed(
        self, states: Float[torch.Tensor, "rows queries dim"], positions: int
    ) -> Float[torch.Tensor, "batch levels positions dim"]:
        frames = slice(self.prepended, self.prepended + positions)
        return states[:, frames].unflatten(0, (-1, self.levels))

    def edited(
        self,
        weights: Float[torch.Tensor, "rows heads queries keys"],
        logits: Float[torch.Tensor, "rows heads queries keys"],
        values: Float[torch.Tensor, "rows heads keys width"],
    ) -> Float[torch.Tensor, "rows heads queries keys"]:
        """The weights of a call after its edits."""
        frames, tokens = _shown.get()
        rows = slice(self.prepended, self.prepended + frames)
        columns = rows if self.kind == "self" else slice(0, tokens)
        shown = folded(weights[:, :, rows, columns])
        edited = run_edits(self, shown, folded(logits[:, :, rows, columns]), folded(values[:, :, columns]))
        if edited is shown:
            return weights
        if edited.shape[2:] == weights.shape[2:]:
            return unfolded(edited)
        whole = weights
        if self.kind != "self":
            tiny = torch.finfo(shown.dtype).tiny
            gates = torch.where(shown.abs() > tiny, edited / torch.where(shown == 0, 1, shown), 1)
            whole = _replaced(whole, weights[..., columns] * unfolded(gates.mean(2, keepdim=True)), 3, columns)
        return _replaced(whole, _replaced(weights[:, :, rows], unfolded(edited), 3, columns), 2, rows)

    def scaled(
        self, values: Float[torch.Tensor, "rows heads keys width"]
    ) -> Float[torch.Tensor, "rows heads keys width"]:
        """The values of a call's cross-attention, as they are scaled in it."""
        tokens = slice(0, _shown.get().tokens)
        return _replaced(values, unfolded(scale_rows(self, folded(values[:, :, tokens]))), 2, tokens)


def folded(rows: Float[torch.Tensor, "rows heads *rest"]) -> Float[torch.Tensor, "batch levels_heads *rest"]:
    """The noise levels of a call moved from its rows to its heads."""
    return rows.unflatten(0, (-1, position().levels)).flatten(1, 2)


def unfolded(shown: Float[torch.Tensor, "batch levels_heads *rest"]) -> Float[torch.Tensor, "rows heads *rest"]:
    """The noise levels of a call moved back from its heads to its rows."""
    return shown.unflatten(1, (position().levels, -1)).flatten(0, 1)


def _replaced(whole: torch.Tensor, part: torch.Tensor, dim: int, where: slice) -> torch.Tensor:
    """`whole` with `part` in place of what is `where` along `dim`; differentiable in every mode, unlike assignment."""
    if part.shape[dim] == whole.shape[dim]:
        return part
    before, after = whole.narrow(dim, 0, where.start), whole.narrow(dim, where.stop, whole.shape[dim] - where.stop)
    return torch.cat([before, part, after], dim)
