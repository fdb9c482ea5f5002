"""AttnLRP in forward mode: the relevance of each source for every outcome at once (Achtibat et al., ICML 2024).

LRP sends relevance back from an outcome, rule by rule. Each rule of AttnLRP is input x gradient of a layer in which
something is held constant, so the relevance that comes back to a source is a derivative along that source. In forward
mode one row of a batch has it for all outcomes, where LRP takes a backward pass for each of them.

    linear layer          its derivative; what a bias adds is a source of its own
    activation f          z times f(z) / z, of which f(z) / z is held (the identity rule)
    norm                  its scale is held
    queries times keys    half to each of the two; weights times values likewise
    softmax               its derivative (deep Taylor); what it adds to that, s(x) - J x, is a source of its own

The rows of all sources add up to the stream itself, wherever one looks: that is LRP's conservation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tagxai.contract.attention import AttentionSite
from tagxai.contract.cost import count
from tagxai.contract.run import Run
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.errors import UnsupportedError
from tagxai.lazy import Float, torch
from tagxai.probing.forward_mode import differentiating, moving, no_forward_mode, tangent_of
from tagxai.probing.hooks import hook_after
from tagxai.probing.logit_flow import last_stream
from tagxai.probing.relevance_rules import BESIDE, SoftmaxRule, blocks, feed_forward, ruled
from tagxai.probing.stream_flow import check_followed
from tagxai.probing.zeroed_values import stream_of

TOLERANCE = 0.05
"""The largest error of conservation that rounding explains, half precision included; of the target's mean size."""


class Relevance(NamedTuple):
    """Relevance for each outcome's logit less the mean of all logits by their probability, as the last norm hands it
    on. All of it adds up to `target`."""

    of_tokens: Float[torch.Tensor, "streams frames tokens"]
    beside: Float[torch.Tensor, "streams frames 3"]
    """Relevance of the sources in `BESIDE`, in their order."""
    target: Float[torch.Tensor, "streams frames"]

    def error(self) -> float:
        """The mean distance between the relevance of all sources and the target, of the target's mean size."""
        missed = self.of_tokens.sum(-1) + self.beside.sum(-1) - self.target
        return (missed.abs().mean() / self.target.abs().mean().clamp(min=1e-12)).item()


def check_ruled(sites: Sequence[AttentionSite]) -> None:
    """Raises UnsupportedError for a model that the rules do not cover."""
    check_followed(sites)
    for block in blocks(sites):
        feed_forward(block, sites)


def token_relevance(run: Run, softmax: SoftmaxRule) -> Relevance:
    """The relevance of each token. Raises UnsupportedError for a model that the rules do not cover."""
    sites = run.model.attention_sites()
    check_ruled(sites)
    stream, directions = last_stream(run, sites[-1].block)
    tokens = len(run.generation.tokens)
    sources, streams = torch.eye(tokens + len(BESIDE), device=stream.device), []
    for rows in sources.split(max(1, ROWS_AT_ONCE // run.generation.positions)):
        streams.append(_last_tangent(run, sites, rows, softmax).to(stream))
        run.report(sum(len(each) for each in streams), len(sources), "sources")
    each = torch.einsum("rpd,spd->spr", torch.cat([*streams, stream]), directions)
    everywhere = run.generation.timeline.to_frames(each)
    at_frames = torch.stack([of[stream] for stream, of in enumerate(everywhere)]).cpu()
    found = Relevance(at_frames[..., :tokens], at_frames[..., tokens:-1], at_frames[..., -1])
    if found.error() > TOLERANCE:
        raise UnsupportedError(
            f"AttnLRP's relevance adds up to {1 + found.error():.2f} or {1 - found.error():.2f} of what it explains in "
            f"generator {run.model.name!r}, whose layers do something that no rule is for; expected 1"
        )
    return found


def _last_tangent(
    run: Run, sites: Sequence[AttentionSite], rows: Float[torch.Tensor, "rows sources"], softmax: SoftmaxRule
) -> Float[torch.Tensor, "rows positions dim"]:
    """What each row's source has in the stream that leaves the last layer."""
    left: list[torch.Tensor] = []
    conditioning, tokens = run.conditioning.expand(len(rows)), rows.shape[1] - len(BESIDE)
    along = rows[:, :tokens, None].to(conditioning.embeddings) * conditioning.embeddings
    count(forward_mode_passes=len(rows))
    with (
        differentiating(),
        torch.autograd.forward_ad.dual_level(),
        ruled(sites, rows[:, tokens:], softmax),
        hook_after(sites[-1].block, lambda *call: left.append(tangent_of(stream_of(call[-1])))),
    ):
        try:
            run.hidden_states(replace(conditioning, embeddings=moving(conditioning.embeddings, along)))
        except NotImplementedError as error:
            raise no_forward_mode(run.model, error) from None
    return left[0]
