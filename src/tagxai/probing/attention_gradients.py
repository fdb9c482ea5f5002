"""Gradients of attention weights, one site at a time: what gradient-weighted attention methods share.

The derivative of a target with respect to a softmax weight is that of the heads' mixed output times the value that the
weight lets through. The mixed outputs, `[positions, heads * width]` a site, are small: one backward pass through the
fused attention gives their gradients at all sites, and a second, plain pass shows the weights and values of each site
in turn. So no `[layers, heads, positions, positions]` is ever kept, neither of weights nor of gradients.

Gradients belong to a target. Here it is the log-probability of a window of the clip, and every window is one row of the
backward pass: twice the resolution costs twice the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.contract.cost import count
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.probing.hooks import hook_before

ROWS_AT_ONCE = 1024
"""Decoder positions in one backward pass, which keeps the activations of all layers."""

WeightObserver = Callable[[int, AttentionSite, Any, Any], None]
"""`look(window, site, weights[heads, queries, keys], gradients[heads, queries, keys])`, sites in the model's order."""


def each_weight_with_gradient(
    run: Run, sites: Sequence[AttentionSite], targets: Sequence[range], look: WeightObserver
) -> None:
    """Show `look` the weights of every site, and their gradients for the log-probability of each window in turn."""
    size = max(1, ROWS_AT_ONCE // (run.generation.positions * sites[0].levels))
    for first in range(0, len(targets), size):
        part = targets[first : first + size]
        gradients = mixed_gradients(run, sites, part)

        def show(
            site: AttentionSite,
            weights: torch.Tensor,
            first: int = first,
            gradients: dict[str, torch.Tensor] = gradients,
        ) -> None:
            values = attention_call().values[0].float()
            heads = site.heads // site.levels
            for row, gradient in enumerate(site.framed(gradients[site.name], run.generation.positions)):
                by_head = gradient.float().unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)
                look(first + row, site, weights[0].float(), by_head @ values.transpose(1, 2))

        with edit_attention(sites, show):
            run.hidden_states()
        run.report(first + len(part), len(targets), "windows")


def mixed_gradients(
    run: Run, sites: Sequence[AttentionSite], targets: Sequence[range]
) -> dict[str, Float[torch.Tensor, "rows queries dim"]]:
    """Gradients of each window's log-probability by what the output projection of each site reads, as it reads it."""
    seen: dict[str, torch.Tensor] = {}

    def watch(site: AttentionSite) -> Callable[..., tuple[torch.Tensor]]:
        def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            (mixed,) = inputs
            seen[site.name] = mixed if mixed.requires_grad else mixed.detach().requires_grad_()  # before any text
            return (seen[site.name],)

        return hook

    with ExitStack() as hooks, torch.enable_grad():
        for site in sites:
            hooks.enter_context(hook_before(site.projection, watch(site)))
        log_prob = run.forward(run.conditioning.expand(len(targets))).log_prob
        total = torch.stack([row[:, w.start : w.stop].sum() for row, w in zip(log_prob, targets, strict=True)]).sum()
        count(backward_passes=len(targets))
        found = torch.autograd.grad(total, [seen[site.name] for site in sites])
    return {site.name: gradient for site, gradient in zip(sites, found, strict=True)}
