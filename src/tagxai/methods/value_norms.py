"""Norms of weighted, transformed values: how much of each token really flows (Kobayashi et al., EMNLP 2020, section 3).

A large weight on a small value moves nothing. The contribution of a token to a step is the norm of the sum over heads
of alpha W_o v, which is what cross-attention adds to the step because of the token.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from jaxtyping import Float

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.timeline import undo_delay
from tagxai.contract.values import Generation, OnProgress
from tagxai.lazy import torch
from tagxai.probing.choice import chosen_layers
from tagxai.probing.edits import Capture


@dataclass(frozen=True)
class ValueNorms(Method):
    """Value-weighted attention: the norm of what each token adds to a step, averaged over layers (Kobayashi, 2020)."""

    name: ClassVar[str] = "value_norms"
    needs = frozenset({"attention"})
    passes = "one forward pass"

    layers: str | None = None
    """Layers to average over, such as `0,3,-1` (-1 is the last); none stands for all."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        sites = chosen_layers(generator.cross_attention(), self.layers)
        capture = Capture()

        def look(site: AttentionSite, weights: torch.Tensor) -> None:
            capture(site, contribution_norms(weights[0], attention_call().values[0], site.projection)[None, None])

        with torch.no_grad(), edit_attention(sites, look):
            generator.forward(generation, log_prob=False)
        return Attribution(
            generation,
            undo_delay(capture.weights()[0].cpu(), generation.delays, generation.frames),
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, "forward_passes": 1},
        )


def contribution_norms(
    weights: Float[torch.Tensor, "heads queries keys"],
    values: Float[torch.Tensor, "heads keys width"],
    projection: torch.nn.Linear,
) -> Float[torch.Tensor, "queries keys"]:
    """|| sum over heads of weight * W_o value ||, by the products of each key's transformed values with one another:
    `[queries, keys, dim]` is never made."""
    heads_to_stream = projection.weight.T.unflatten(0, (len(values), -1)).float()
    transformed = values.float() @ heads_to_stream
    products = torch.einsum("hkd,gkd->khg", transformed, transformed)
    weights = weights.float()
    return torch.einsum("hqk,khg,gqk->qk", weights, products, weights).clamp(min=0).sqrt()
