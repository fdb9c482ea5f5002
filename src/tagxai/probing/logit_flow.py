"""What each token adds to the log-probability of each outcome, as the residual stream builds it up."""

from __future__ import annotations

from typing import Any

from tagxai.contract.attention import AttentionSite
from tagxai.contract.cost import count
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.probing.carrying import carrying_sites
from tagxai.probing.hooks import hook_after
from tagxai.probing.stream_flow import AT_ONCE, Flow, check_followed, follow
from tagxai.probing.zeroed_values import stream_of


def logit_contributions(run: Run, *, feed_forward: bool = False) -> Float[torch.Tensor, "streams frames tokens"]:
    """What each token adds to each outcome; with `feed_forward`, also through feed-forward networks."""
    sites = carrying_sites(run.model)
    check_followed(sites)
    leaving, directions = last_stream(run, sites[-1].block)
    flow = LogitFlow(directions, len(run.generation.tokens), feed_forward=feed_forward)
    follow(run, sites, flow)
    flow.enter_layer(None, (leaving,))  # the heads, after the last layer
    to_frames = run.generation.timeline.to_frames
    return torch.stack([to_frames(added)[stream] for stream, added in enumerate(flow.added)]).cpu()


def last_stream(
    run: Run, block: torch.nn.Module
) -> tuple[Float[torch.Tensor, "1 positions dim"], Float[torch.Tensor, "streams positions dim"]]:
    """What leaves the last layer, and by which vector each stream's log-probability at a position depends on it.

    What follows is a norm and linear heads, position by position, so one gradient holds those of all positions. As in
    the paper the norm's scale is held at its value, while a gradient counts that the scale follows the stream: it is
    blind along the stream itself, and lacks that component. A norm with its scale held is h = A x + h(0), so the
    component is what the stream has made of the heads' input: gradient by h, times h - h(0).
    """
    left: list[torch.Tensor] = []

    def cut(_: torch.nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Any) -> Any:
        stream = stream_of(output).detach()[:1]
        left.append(torch.cat([stream, torch.zeros_like(stream), torch.ones_like(stream)]).requires_grad_())
        return (left[0], *output[1:]) if isinstance(output, tuple) else left[0]

    with hook_after(block, cut), torch.enable_grad():
        output = run.forward(run.conditioning.expand(3))
        both = (left[0], output.hidden)
        count(backward_passes=output.log_prob.shape[1])  # of the first row alone
        gradients = [torch.autograd.grad(each.sum(), both, retain_graph=True) for each in output.log_prob[0]]
    of_stream, of_hidden = (torch.stack(each)[:, 0].float() for each in zip(*gradients, strict=True))
    hidden, of_zeros, of_ones = output.hidden.detach().float()
    stream = left[0].detach()[0].float()
    centred = stream - stream.mean(-1, keepdim=True) if torch.allclose(of_zeros, of_ones, atol=1e-4) else stream
    along = (of_hidden * (hidden - of_zeros)).sum(-1, keepdim=True) / centred.square().sum(-1, keepdim=True)
    return stream[None], of_stream + along * centred


class LogitFlow(Flow):
    """Follows the stream as ALTI does; `added` is what each token has added to each outcome's log-probability."""

    added: Float[torch.Tensor, "streams positions tokens"]

    def __init__(
        self, directions: Float[torch.Tensor, "streams positions dim"], tokens: int, *, feed_forward: bool
    ) -> None:
        super().__init__(torch.zeros(directions.shape[1], tokens, device=directions.device))
        self.directions, self.feed_forward, self._in_layers = directions, feed_forward, False
        self.added = torch.zeros(*directions.shape[:2], tokens, device=directions.device)

    def enter_layer(self, block: torch.nn.Module | None, arguments: tuple[Any, ...]) -> None:
        if self.feed_forward and self._in_layers:  # what the layer before added after its attention
            written = arguments[0][0].float() - self.stream
            effect = torch.einsum("spd,pd->sp", self.directions.to(written), written)
            self._add(effect[..., None] * self.relevance())
        self._in_layers = True
        super().enter_layer(block, arguments)

    def look(
        self,
        site: AttentionSite,
        weights: Float[torch.Tensor, "heads queries keys"],
        transformed: Float[torch.Tensor, "heads keys dim"],
        at: slice,
    ) -> None:
        directions = self.directions[:, at].to(transformed)
        size = max(1, AT_ONCE // (len(directions) * transformed.shape[1]))
        rows = zip(directions.split(size, dim=1), weights.split(size, dim=1), strict=True)
        self._add(torch.cat([self._of_tokens(site, *each, transformed) for each in rows], dim=1), at)
        super().look(site, weights, transformed, at)

    def _of_tokens(
        self,
        site: AttentionSite,
        directions: Float[torch.Tensor, "streams queries dim"],
        weights: Float[torch.Tensor, "heads queries keys"],
        transformed: Float[torch.Tensor, "heads keys dim"],
    ) -> Float[torch.Tensor, "streams queries tokens"]:
        """What the tokens add at some positions: head by head, so that no `[queries, keys, dim]` is in memory."""
        of_keys = sum(head * (directions @ values.T) for head, values in zip(weights, transformed, strict=True))
        return of_keys @ self.relevance()[: of_keys.shape[2]].to(of_keys) if site.kind == "self" else of_keys

    def _add(self, effect: Float[torch.Tensor, "streams queries tokens"], at: slice = slice(None)) -> None:
        self.added[:, at] += effect.to(self.added.device)
