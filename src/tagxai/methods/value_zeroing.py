"""Value zeroing: how much a layer's output turns without a token's value (Mohebbi et al., EACL 2023, section 3).

In one layer at a time, and with the layer's input as it is, the value of one token is made zero in cross-attention; the
weights stay. The score is the cosine distance between the layer's outputs, feed-forward network included.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float

from tagxai.contract.attention import AttentionSite, edit_attention
from tagxai.contract.cost import count
from tagxai.contract.generator import Capability
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.lazy import torch
from tagxai.methods.families.layers import LayerMethod
from tagxai.probing.edits import Gate


@dataclass(frozen=True)
class ValueZeroing(LayerMethod):
    """Value zeroing: the turn of each layer's output without a token's value, averaged (Mohebbi et al., EACL 2023)."""

    name: ClassVar[str] = "value_zeroing"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    expense: ClassVar[str] = "1 forward pass + layers x tokens passes of one layer"

    def explain(self, run: Run) -> Scores:
        sites = self.sites(run.model)
        watched = [_Repeated(site, len(run.generation.tokens)) for site in sites]
        with ExitStack() as hooks:
            for each in watched:
                handle = each.site.block.register_forward_hook(each, with_kwargs=True)
                hooks.callback(handle.remove)
            run.hidden_states()
        distances = torch.stack([each.distances for each in watched]).mean(0)
        return Scores(run.generation.timeline.to_frames(distances))


class _Repeated:
    """A hook that runs its layer again on the input that it has just had, a row for each token that is zeroed."""

    distances: Float[torch.Tensor, "positions tokens"]

    def __init__(self, site: AttentionSite, tokens: int) -> None:
        self.site, self.tokens, self.is_repeating = site, tokens, False

    def __call__(
        self, block: torch.nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Any
    ) -> None:
        if self.is_repeating:
            return
        self.is_repeating = True
        try:
            plain = _stream(output)
            kept = 1 - torch.eye(self.tokens).to(plain)
            turned = []
            for part in kept.split(max(1, ROWS_AT_ONCE // plain.shape[1])):
                rows = len(part)
                count(layer_passes=rows)
                with edit_attention([self.site], Gate(part[:, None].expand(-1, plain.shape[1], -1))):
                    again = block(
                        *(_expand(value, rows) for value in arguments),
                        **{name: _expand(value, rows) for name, value in options.items()},
                    )
                similarity = torch.nn.functional.cosine_similarity(_stream(again).float(), plain.float(), dim=-1)
                turned.append(1 - similarity)
            self.distances = torch.cat(turned).T
        finally:
            self.is_repeating = False


def _stream(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def _expand(value: Any, rows: int) -> Any:
    """A tensor of one row, as all that a layer is given is, repeated; anything else as it is."""
    return value.expand(rows, *value.shape[1:]) if isinstance(value, torch.Tensor) else value
