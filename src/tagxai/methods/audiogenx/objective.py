"""AudioGenX's loss: states under a mask against the original ones (Kang et al., AAAI 2025, section "Objective")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float

from tagxai.contract.attention import edit_attention
from tagxai.contract.run import Run
from tagxai.lazy import torch
from tagxai.probing.edits import Gate

PAPER_ALPHA, PAPER_BETA = 1e-3, 1e-1


class Similarity(NamedTuple):
    """Cosine similarity of masked to original hidden states, each `[positions]`."""

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
    isolated: bool = False,
) -> Similarity:
    """Hidden states under `mask` and under one minus it, in one batch, against the original ones."""
    (found,) = compare_each(run, target, [mask], isolated=isolated)
    return found


def compare_each(
    run: Run,
    target: Float[torch.Tensor, "positions dim"],
    masks: Sequence[Float[torch.Tensor, "positions tokens"]],
    *,
    isolated: bool = False,
) -> list[Similarity]:
    """As `compare` for each of several masks, all in one batch."""
    gate = torch.stack([half for mask in masks for half in (mask, 1 - mask)])
    conditioning = run.conditioning.expand(len(gate))
    if isolated:  # every position is a row of its own
        with edit_attention(run.model.cross_attention(), Gate(gate.reshape(-1, 1, gate.shape[-1]))):
            hidden = run.model.isolated_states(run.generation, conditioning)
    else:
        with edit_attention(run.model.cross_attention(), Gate(gate)):
            hidden = run.hidden_states(conditioning)
    likeness = torch.nn.functional.cosine_similarity(hidden.float(), target.float(), dim=-1)
    return [Similarity(*both) for both in likeness.unflatten(0, (len(masks), 2)).unbind()]
