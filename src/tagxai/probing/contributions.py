"""How much of a token really flows: norms of weighted, transformed values (Kobayashi et al., EMNLP 2020, section 3)."""

from __future__ import annotations

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.probing.projections import output_weight


def norms_at(site: AttentionSite, weights: torch.Tensor) -> Float[torch.Tensor, "levels queries keys"]:
    """Those of the first row of the call under way."""
    values, weight = attention_call().values[0], output_weight(site)
    by_level = zip(weights[0].chunk(site.levels), values.chunk(site.levels), strict=True)
    return torch.stack([contribution_norms(own, of_keys, weight) for own, of_keys in by_level])


def norms_at_positions(run: Run) -> Float[torch.Tensor, "positions tokens"]:
    """Their mean over cross-attention sites and noise levels, from one pass."""
    seen: list[torch.Tensor] = []
    with torch.no_grad(), edit_attention(run.model.cross_attention(), lambda *call: seen.append(norms_at(*call))):
        run.hidden_states()
    return torch.stack([norms.mean(0).to(seen[0]) for norms in seen]).mean(0)


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
