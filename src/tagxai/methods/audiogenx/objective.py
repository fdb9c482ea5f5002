"""AudioGenX's loss: states under a mask against the original ones (Kang et al., AAAI 2025, section "Objective")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tagxai.contract.attention import edit_attention
from tagxai.contract.run import Run, hidden_states_together
from tagxai.lazy import Float, torch
from tagxai.probing.edits import Gate

PAPER_ALPHA, PAPER_BETA = 1e-3, 1e-1


class Similarity(NamedTuple):
    """How alike masked and original outcomes are at each position; 1 is the same."""

    factual: Float[torch.Tensor, " positions"]
    counterfactual: Float[torch.Tensor, " positions"]


def objective(
    similarity: Similarity,
    mask: Float[torch.Tensor, "positions tokens"],
    alpha: float = PAPER_ALPHA,
    beta: float = PAPER_BETA,
) -> Float[torch.Tensor, ""]:
    """L = L_F + L_CF + alpha * sum |p| + beta * sqrt(sum p^2)."""
    size = alpha * mask.abs().sum() + beta * mask.square().sum().sqrt()
    return similarity.counterfactual.sum() - similarity.factual.sum() + size


def compare(
    run: Run,
    target: Float[torch.Tensor, "positions dim"],
    mask: Float[torch.Tensor, "positions tokens"],
    *,
    levels: Sequence[int] | None = None,
    isolated: bool = False,
) -> Similarity:
    """The cosine of hidden states under `mask` and under one minus it, in one batch, to the original ones.

    Where a position has states at several noise levels, it is the mean over them, or over those chosen.
    """
    if not isolated:
        return compare_together([run], [target], [mask], levels=levels)[0]
    gate = _both(mask).reshape(-1, 1, mask.shape[-1])  # every position is a row of its own
    with edit_attention(run.model.cross_attention(), Gate(gate)):
        hidden = run.model.isolated_states(run.generation, run.conditioning.expand(2))
    return _likeness(run, hidden, target, levels)


def compare_together(
    runs: Sequence[Run],
    targets: Sequence[Float[torch.Tensor, "_positions dim"]],
    masks: Sequence[Float[torch.Tensor, "_positions _tokens"]],
    *,
    levels: Sequence[int] | None = None,
) -> list[Similarity]:
    """As `compare`, of several masks of one clip or of several, in as few passes as the generator can."""
    states = hidden_states_together(runs, [_both(mask) for mask in masks])
    return [_likeness(*each, levels) for each in zip(runs, states, targets, strict=True)]


def _likeness(run: Run, hidden: torch.Tensor, target: torch.Tensor, levels: Sequence[int] | None) -> Similarity:
    count = run.generation.timeline.levels
    both, original = (states.float().unflatten(-1, (count, -1)) for states in (hidden, target))
    if levels is not None:
        both, original = both[..., levels, :], original[..., levels, :]
    return Similarity(*torch.nn.functional.cosine_similarity(both, original, dim=-1).mean(-1))


def compare_likelihoods(
    run: Run,
    target: Float[torch.Tensor, "streams frames"],
    mask: Float[torch.Tensor, "positions tokens"],
    *,
    levels: Sequence[int] | None = None,
) -> Similarity:
    """How much of the outcomes' likelihood is left under `mask` and under one minus it, in the mean over those of a
    position, or over chosen noise levels. One that has become likelier counts as one that is as likely as before."""
    with edit_attention(run.model.cross_attention(), Gate(_both(mask))):
        log_prob = run.forward(run.conditioning.expand(2)).log_prob
    left = (log_prob - target).clamp(max=0).exp()
    if levels is not None:
        left = left[:, levels]
    to_positions = run.generation.timeline.to_positions
    return Similarity(*(to_positions(each[..., None])[:, 0] for each in left))


def _both(mask: torch.Tensor) -> Float[torch.Tensor, "2 positions tokens"]:
    return torch.stack([mask, 1 - mask])
