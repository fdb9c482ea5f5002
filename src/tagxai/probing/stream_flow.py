"""Following the residual stream through one pass: what every sublayer adds to it, and which token it is from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.contract.query_blocks import query_by_query, query_rows
from tagxai.contract.run import Run
from tagxai.errors import UnsupportedError
from tagxai.lazy import Float, torch
from tagxai.probing.hooks import hook_before
from tagxai.probing.projections import output_bias, output_weight

AT_ONCE = 2**22
"""Numbers in one piece of `[queries, keys, dim]`."""


def follow(run: Run, sites: Sequence[AttentionSite], flow: Flow) -> None:
    """Run the clip once, with `flow` at every layer and site. Raises UnsupportedError where a layer does not add up."""
    check_followed(sites)
    with ExitStack() as hooks:
        for block in {id(site.block): site.block for site in sites}.values():
            hooks.enter_context(hook_before(block, flow.enter_layer))
        hooks.enter_context(edit_attention(sites, flow))
        run.hidden_states()


def check_followed(sites: Sequence[AttentionSite]) -> None:
    """Raises UnsupportedError where the stream cannot be followed: a layer does not add up, or several streams do."""
    for site in sites:
        site.check_plain_residual()
        if site.levels > 1:
            raise UnsupportedError(
                f"attention site {site.name!r} runs {site.levels} noise levels side by side; expected one stream"
            )


@query_by_query
class Flow:
    """Follows the residual stream through one teacher-forced pass, and carries the tokens' relevance along."""

    stream: Float[torch.Tensor, "positions dim"]

    def __init__(self, relevance: Float[torch.Tensor, "positions tokens"]) -> None:
        self._relevance = relevance
        self._transformed: list[Float[torch.Tensor, "heads keys dim"]] = []  # by blocks, each of the keys that it adds
        self._found: list[tuple[torch.Tensor, torch.Tensor]] = []  # relevance and stream after the site, by blocks

    def relevance(self) -> Float[torch.Tensor, "positions tokens"]:
        return self._relevance

    def enter_layer(self, _: torch.nn.Module | None, arguments: tuple[Any, ...]) -> None:
        self.stream = arguments[0][0].float()

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        rows, known = query_rows(weights), sum(part.shape[1] for part in self._transformed)
        if known < weights.shape[3]:
            self._transformed.append(transformed_values(site, known))
        transformed = torch.cat(self._transformed, dim=1)[:, : weights.shape[3]]
        self.look(site, weights[0].float(), transformed, slice(rows.first, rows.stop))
        if rows.stop == rows.queries:
            relevance, stream = zip(*self._found, strict=True)
            self._relevance, self.stream = torch.cat(relevance), torch.cat(stream)
            self._transformed, self._found = [], []

    def look(
        self,
        site: AttentionSite,
        weights: Float[torch.Tensor, "heads queries keys"],
        transformed: Float[torch.Tensor, "heads keys dim"],
        at: slice,
    ) -> None:
        """See a block of queries, the positions `at`; relevance and stream are still those before the site."""
        stream, own = self.stream[at], site.kind == "self"
        output = stream + torch.einsum("hqk,hkd->qd", weights, transformed)
        if (bias := output_bias(site)) is not None:
            output = output + bias
        of_keys, of_stream = contributions(weights, transformed, stream, output, own=own, first=at.start)
        relevance = self._relevance.to(of_keys)
        gathered = of_keys @ relevance[: weights.shape[2]] if own else of_keys
        self._found.append((of_stream[:, None] * relevance[at] + gathered, output))


def transformed_values(site: AttentionSite, first: int = 0) -> Float[torch.Tensor, "heads keys dim"]:
    """For edits: the values of the call under way as the output projection writes them to the stream, a head each;
    those of the keys from `first` on."""
    heads_to_stream = output_weight(site).T.unflatten(0, (site.heads, -1))
    return attention_call().values[0, :, first:].float() @ heads_to_stream


def contributions(
    weights: Float[torch.Tensor, "heads queries keys"],
    transformed: Float[torch.Tensor, "heads keys dim"],
    stream: Float[torch.Tensor, "queries dim"],
    output: Float[torch.Tensor, "queries dim"],
    *,
    own: bool,
    first: int = 0,
) -> tuple[Float[torch.Tensor, "queries keys"], Float[torch.Tensor, " queries"]]:
    """The shares of all keys and of the stream in each output; with `own`, the stream of query t is a part of key t.

    The queries are those from `first` on. Where no part brings the sum nearer to the output, all of it is the stream's.
    """
    queries, keys, dim = weights.shape[1], transformed.shape[1], transformed.shape[2]
    causal = own and not weights.any(0).triu(1 + first).any()
    shares = output.new_zeros(queries, keys + 1)
    size = max(1, AT_ONCE // (keys * dim))
    for start in range(0, queries, size):
        rows = slice(start, start + size)
        seen = min(first + start + size, keys) if causal else keys  # no later key has a weight
        parts = torch.einsum("hqk,hkd->qkd", weights[:, rows, :seen], transformed[:, :seen])
        parts = torch.cat([parts, stream[rows, None]], dim=1)
        if own:
            each = torch.arange(len(parts), device=weights.device)
            parts[each, first + start + each] += parts[each, -1]
            parts[:, -1] = 0
        aim = output[rows, None]
        nearness = (aim.abs().sum(-1) - (aim - parts).abs().sum(-1)).clamp(min=0)
        nearness[:, -1] += nearness.sum(1) == 0
        nearness /= nearness.sum(1, keepdim=True)
        shares[rows, :seen], shares[rows, -1] = nearness[:, :-1], nearness[:, -1]
    return shares[:, :-1], shares[:, -1]
