"""AudioGenX's loss: states under a mask against the original ones (Kang et al., AAAI 2025, section "Objective")."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float

from tagxai.contract.attention import edit_attention
from tagxai.contract.generator import Generator
from tagxai.contract.values import Conditioning, Generation
from tagxai.lazy import torch
from tagxai.probing.edits import Gate

PAPER_ALPHA, PAPER_BETA = 1e-3, 1e-1


class Similarity(NamedTuple):
    """Cosine similarity of masked to original hidden states, each `[steps]`."""

    factual: Float[torch.Tensor, " steps"]
    counterfactual: Float[torch.Tensor, " steps"]


def objective(
    similarity: Similarity,
    mask: Float[torch.Tensor, "steps tokens"],
    alpha: float = PAPER_ALPHA,
    beta: float = PAPER_BETA,
) -> Float[torch.Tensor, ""]:
    """L = L_F + L_CF + alpha * sum |p| + beta * sqrt(sum p^2)."""
    size = alpha * mask.abs().sum() + beta * mask.square().sum().sqrt()
    return similarity.counterfactual.sum() - similarity.factual.sum() + size


def original_states(
    generator: Generator, generation: Generation, conditioning: Conditioning
) -> Float[torch.Tensor, "steps dim"]:
    """u_t: the conditional hidden states of the original clip, in its own audio context."""
    with torch.no_grad():
        return generator.forward(generation, conditioning, log_prob=False).hidden[0]


def compare(
    generator: Generator,
    generation: Generation,
    conditioning: Conditioning,
    target: Float[torch.Tensor, "steps dim"],
    mask: Float[torch.Tensor, "steps tokens"],
    *,
    isolated: bool = False,
) -> Similarity:
    """Hidden states under `mask` and under one minus it, in one batch, against the original ones."""
    gate = torch.stack([mask, 1 - mask])
    if isolated:  # every step is a row of its own
        gate = gate.reshape(-1, 1, gate.shape[-1])
    with edit_attention(generator.cross_attention(), Gate(gate)):
        hidden = generator.forward(generation, conditioning.expand(2), log_prob=False, isolated=isolated).hidden
    factual, counterfactual = torch.nn.functional.cosine_similarity(hidden.float(), target.float(), dim=-1)
    return Similarity(factual, counterfactual)
