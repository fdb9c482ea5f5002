"""Attention sites of models that denoise latents: every edit sees frames and prompt tokens, all noise levels at once.

A model runs `batch * levels` rows, levels innermost. Edits see `[batch, levels * heads, frames, tokens]`, the noisiest
level first. Keys beyond the prompt's tokens (padding) and queries that are no frame of the clip (a prepended token,
memory tokens, frames after the clip's end) are hidden; such a query takes the mean of the frames' gates. Where a query
stands for several frames, or a frame has several queries (a spectrogram's bands), frames are shown the mean of theirs.
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
    stride: int = field(default=1, kw_only=True)
    """Latent frames to a query."""
    bands: int = field(default=1, kw_only=True)
    """Queries side by side at each time, such as the bands of a spectrogram."""

    def framed(
        self, states: Float[torch.Tensor, "rows queries dim"], positions: int
    ) -> Float[torch.Tensor, "batch levels positions dim"]:
        own = states[:, self._queries(positions)]
        return by_frame(own, 1, positions, self.stride, self.bands).unflatten(0, (-1, self.levels))

    def _columns(self, tokens: int, keys: int) -> slice:
        """The keys that are shown: the prompt's tokens, or all of another text."""
        return slice(0, tokens if self.reads == "prompt" else keys)

    def _queries(self, frames: int) -> slice:
        """Those of the clip's frames."""
        return slice(self.prepended, self.prepended + -(-frames // self.stride) * self.bands)

    def edited(
        self,
        weights: Float[torch.Tensor, "rows heads queries keys"],
        logits: Float[torch.Tensor, "rows heads queries keys"],
        values: Float[torch.Tensor, "rows heads keys width"],
    ) -> Float[torch.Tensor, "rows heads queries keys"]:
        """The weights of a call after its edits."""
        frames, tokens = _shown.get()
        rows = self._queries(frames)
        columns = rows if self.kind == "self" else self._columns(tokens, weights.shape[3])
        shape = frames, self.stride, self.bands
        shown, seen = (folded(by_frame(each[:, :, rows, columns], 2, *shape)) for each in (weights, logits))
        edited = run_edits(self, shown, seen, folded(values[:, :, columns]))
        if edited is shown:
            return weights
        own, is_fine = weights[:, :, rows], self.stride == self.bands == 1
        if is_fine and edited.shape[2:] == weights.shape[2:]:
            return unfolded(edited)
        whole, part = weights, unfolded(edited)
        if self.kind != "self":
            tiny = torch.finfo(shown.dtype).tiny
            gates = unfolded(torch.where(shown.abs() > tiny, edited / torch.where(shown == 0, 1, shown), 1))
            whole = _replaced(whole, weights[..., columns] * gates.mean(2, keepdim=True), 3, columns)
            part = part if is_fine else own[..., columns] * by_query(gates, 2, self.stride, self.bands)
        return _replaced(whole, _replaced(own, part, 3, columns), 2, rows)

    def scaled(
        self, values: Float[torch.Tensor, "rows heads keys width"]
    ) -> Float[torch.Tensor, "rows heads keys width"]:
        """The values of a call's cross-attention, as they are scaled in it."""
        tokens = self._columns(_shown.get().tokens, values.shape[2])
        return _replaced(values, unfolded(scale_rows(self, folded(values[:, :, tokens]))), 2, tokens)


def by_frame(states: torch.Tensor, dim: int, frames: int, stride: int, bands: int) -> torch.Tensor:
    """What queries have along `dim`, as each frame's: the mean over its bands, the same for all frames of a query."""
    if bands > 1:
        states = states.unflatten(dim, (-1, bands)).mean(dim + 1)
    if stride == 1:
        return states
    shape = (*states.shape[: dim + 1], stride, *states.shape[dim + 1 :])
    return states.unsqueeze(dim + 1).expand(shape).flatten(dim, dim + 1).narrow(dim, 0, frames)


def by_query(gates: torch.Tensor, dim: int, stride: int, bands: int) -> torch.Tensor:
    """What frames have along `dim`, as each query's: the mean over its frames, the same for all bands."""
    if stride > 1:
        frames = gates.shape[dim]
        pieces = [gates.narrow(dim, at, min(stride, frames - at)).mean(dim) for at in range(0, frames, stride)]
        gates = torch.stack(pieces, dim)
    if bands == 1:
        return gates
    shape = (*gates.shape[: dim + 1], bands, *gates.shape[dim + 1 :])
    return gates.unsqueeze(dim + 1).expand(shape).flatten(dim, dim + 1)


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
