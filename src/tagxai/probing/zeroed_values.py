"""Each layer run again without one token's value at a time: how far its output turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tagxai.contract.attention import AttentionSite, edit_attention
from tagxai.contract.cost import count
from tagxai.contract.run import Run
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.lazy import Float, torch
from tagxai.probing.edits import Gate
from tagxai.probing.hooks import hook_after


def check_layers(sites: Sequence[AttentionSite]) -> None:
    """Raises UnsupportedError where a site does not show its layer, which could then not be run again."""
    for site in sites:
        _ = site.block


def zeroing_distances(run: Run, sites: Sequence[AttentionSite]) -> Float[torch.Tensor, "streams frames tokens"]:
    """How far each layer's output turns without a token's value (cosine distance), averaged over `sites`."""
    clip = run.generation
    watched = [_Repeated(site, clip.positions, len(clip.tokens)) for site in sites]
    with ExitStack() as hooks:
        for each in watched:
            hooks.enter_context(hook_after(each.site.block, each))
        run.hidden_states()
    return clip.timeline.at_levels(torch.stack([each.distances for each in watched]).mean(0))


def shares_of_frames(run: Run) -> Float[torch.Tensor, "streams frames tokens"]:
    """Each token's share of what value zeroing finds at a frame; they sum to one."""
    distances = zeroing_distances(run, run.model.cross_attention()).float().cpu().clamp(min=0)
    return distances / distances.sum(-1, keepdim=True).clamp(min=torch.finfo(distances.dtype).tiny)


class _Repeated:
    """A hook that runs its layer again on the input that it has just had, a row for each token that is zeroed."""

    distances: Float[torch.Tensor, "levels positions tokens"]

    def __init__(self, site: AttentionSite, positions: int, tokens: int) -> None:
        self.site, self.positions, self.tokens, self.is_repeating = site, positions, tokens, False

    def __call__(
        self, block: torch.nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Any
    ) -> None:
        if self.is_repeating:
            return
        self.is_repeating = True
        try:
            stream = stream_of(output)
            plain = self._framed(stream)
            kept = 1 - torch.eye(self.tokens).to(plain)
            turned = []
            for part in kept.split(max(1, ROWS_AT_ONCE // (len(stream) * stream.shape[1]))):
                rows = len(part)
                count(layer_passes=rows)
                with edit_attention([self.site], Gate(part[:, None].expand(-1, self.positions, -1))):
                    again = block(
                        *(_repeated(value, rows, len(stream)) for value in arguments),
                        **{name: _repeated(value, rows, len(stream)) for name, value in options.items()},
                    )
                similarity = torch.nn.functional.cosine_similarity(self._framed(stream_of(again)), plain, dim=-1)
                turned.append(1 - similarity)
            self.distances = torch.cat(turned).movedim(0, -1)
        finally:
            self.is_repeating = False

    def _framed(self, stream: torch.Tensor) -> Float[torch.Tensor, "batch levels positions dim"]:
        return self.site.framed(stream, self.positions).float()


def stream_of(output: Any) -> torch.Tensor:
    """What a layer hands to the next, of all that it returns."""
    return output[0] if isinstance(output, tuple) else output


def _repeated(value: Any, times: int, rows: int) -> Any:
    """A tensor of the layer's rows, `times` over; anything else as it is."""
    if not isinstance(value, torch.Tensor) or len(value) not in (1, rows):
        return value
    if rows == 1:
        return value.expand(times, *value.shape[1:])
    return value if len(value) == 1 else value.repeat(times, *[1] * (value.ndim - 1))
