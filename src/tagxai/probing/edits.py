"""Edits that any method may install: a gate on the text's tokens, and a look at the weights."""

from __future__ import annotations

from tagxai.contract.attention import AttentionSite, position
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch


class Gate:
    """An edit that multiplies the weights of each text token, after the softmax and not renormalised.

    `gate[batch or 1, steps, tokens]`, or `[steps, tokens]` for all rows; shared by all heads and by all sites it is
    installed at. Gradients flow into it. (AudioGenX, Kang et al. 2025: A~[t, i] = M[t, i] * A[t, i].)
    Raises TagxaiError for a tensor of another rank.
    """

    def __init__(self, gate: Float[torch.Tensor, "*batch steps tokens"]) -> None:
        if not isinstance(gate, torch.Tensor) or gate.ndim not in (2, 3):
            found = tuple(gate.shape) if isinstance(gate, torch.Tensor) else type(gate).__name__
            raise TagxaiError(f"a gate is a tensor [steps, tokens] or [batch, steps, tokens], not {found}")
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
    of a teacher-forced pass, or of a whole streaming or denoising run, whose steps, or noise levels, are joined in
    order.
    """

    def __init__(self, *, keep_layers: bool = False, keep_heads: bool = False) -> None:
        self.keep_layers, self.keep_heads = keep_layers, keep_heads
        # layer (or 0) -> noise level and first step -> sum over what is not kept, and of how many
        self._sums: dict[int, dict[tuple[int, int], tuple[torch.Tensor, int]]] = {}
        self._device: torch.device | None = None  # of the first weights; layers of a sharded model have several

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        where = position()
        if where.level is None:  # a step of denoising that no pass runs again
            return
        self._device = self._device or weights.device
        weights = weights.detach().to(self._device)
        seen = weights if self.keep_heads else weights.mean(1, keepdim=True)
        steps = self._sums.setdefault(site.layer if self.keep_layers else 0, {})
        at = where.level, where.first_step
        total, count = steps.get(at, (torch.zeros_like(seen), 0))
        if total.shape != seen.shape:
            raise ValueError(f"{site.name} has weights of another shape than the sites before it; capture them apart")
        steps[at] = (total + seen, count + 1)

    def weights(self) -> torch.Tensor:
        """The captured weights; a mean over whatever axis was not kept. Raises RuntimeError if no pass was seen."""
        if not self._sums:
            raise RuntimeError("nothing was captured: run the model inside `with edit_attention(sites, capture):`")
        layers = torch.stack([self._join(steps) for _, steps in sorted(self._sums.items())], dim=1)
        if not self.keep_layers:
            layers = layers[:, 0]
            return layers if self.keep_heads else layers[:, 0]
        return layers if self.keep_heads else layers[:, :, 0]

    def _join(self, steps: dict[tuple[int, int], tuple[torch.Tensor, int]]) -> torch.Tensor:
        """Steps side by side along the query axis, noise levels along that of the heads, or their mean."""
        levels: dict[int, list[torch.Tensor]] = {}
        for (level, _), (total, count) in sorted(steps.items()):
            levels.setdefault(level, []).append(total / count)
        joined = [_side_by_side(pieces) for pieces in levels.values()]
        return torch.cat(joined, dim=1) if self.keep_heads else torch.stack(joined).mean(0)


def _side_by_side(pieces: list[torch.Tensor]) -> torch.Tensor:
    """Self-attention's growing keys are padded with zeros."""
    keys = max(piece.shape[-1] for piece in pieces)
    return torch.cat([torch.nn.functional.pad(piece, (0, keys - piece.shape[-1])) for piece in pieces], dim=-2)
