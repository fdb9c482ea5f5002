"""Norms of weighted, transformed values: how much of each token really flows (Kobayashi et al., EMNLP 2020, section 3).

A large weight on a small value moves nothing. The contribution of a token to a position is the norm of the sum over
heads of alpha W_o v, which is what cross-attention adds to the position because of the token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite, attention_call
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.methods.families.layers import LayerMethod
from tagxai.methods.families.one_pass import MeanOverSites, Observer, OnePassMethod
from tagxai.probing.projections import output_weight


@dataclass(frozen=True)
class ValueNorms(LayerMethod, OnePassMethod):
    """Value-weighted attention: the norm of what each token adds, averaged over layers (Kobayashi et al., 2020)."""

    name: ClassVar[str] = "value_norms"

    def observer(self, run: Run, sites: Sequence[AttentionSite]) -> Observer:
        return MeanOverSites(_norms)


def _norms(site: AttentionSite, weights: torch.Tensor) -> Float[torch.Tensor, "levels queries keys"]:
    values, weight = attention_call().values[0], output_weight(site)
    by_level = zip(weights[0].chunk(site.levels), values.chunk(site.levels), strict=True)
    return torch.stack([contribution_norms(own, of_keys, weight) for own, of_keys in by_level])


def contribution_norms(
    weights: Float[torch.Tensor, "heads queries keys"],
    values: Float[torch.Tensor, "heads keys width"],
    projection: Float[torch.Tensor, "outputs inputs"],
) -> Float[torch.Tensor, "queries keys"]:
    """|| sum over heads of weight * W_o value ||, by the products of each key's transformed values with one another:
    `[queries, keys, dim]` is never made."""
    heads_to_stream = projection.T.unflatten(0, (len(values), -1))
    transformed = values.float() @ heads_to_stream
    products = torch.einsum("hkd,gkd->khg", transformed, transformed)
    weights = weights.float()
    return torch.einsum("hqk,khg,gqk->qk", weights, products, weights).clamp(min=0).sqrt()
