"""What AudioGenX learns: mask logits, free or from an MLP a position; where they start; how masks are drawn."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Literal, TypeAlias

from tagxai.contract.attention import edit_attention
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.probing.contributions import norms_at_positions
from tagxai.probing.edits import Capture
from tagxai.probing.forward_mode import token_derivatives
from tagxai.probing.zeroed_values import zeroing_distances

Distribution = Literal["concrete", "hard_concrete"]
WarmStart = Literal["half", "attention", "gradient", "value_zeroing", "value_norms"]

Explainer: TypeAlias = "Callable[[], torch.Tensor]"
"""Gives the mask's logits `[positions, tokens]`."""

LOW, HIGH = -0.1, 1.1
"""How far the hard concrete distribution stretches the concrete one before it is clipped to [0, 1]."""


def draw(
    logits: Float[torch.Tensor, "positions tokens"],
    temperature: float,
    random: torch.Generator | None,
    distribution: Distribution = "concrete",
) -> Float[torch.Tensor, "positions tokens"]:
    """A mask from the binary concrete distribution (Maddison et al., ICLR 2017), or from the hard concrete one, which
    can be 0 and 1 (Louizos et al., ICLR 2018); without `random`, its noise-free value at this temperature."""
    if random is not None:
        uniform = torch.rand(logits.shape, generator=random).clamp(1e-6, 1 - 1e-6)
        logits = logits + uniform.logit().to(logits)
    return _harden((logits / temperature).sigmoid(), distribution)


def noise_free(logits: torch.Tensor, distribution: Distribution = "concrete") -> torch.Tensor:
    """What is read out: the probability itself, stretched and clipped where masks are hard."""
    return _harden(logits.sigmoid(), distribution)


def presence(logits: torch.Tensor, temperature: float, distribution: Distribution = "concrete") -> torch.Tensor:
    """What the L1 weight counts: the mask, or the probability that a hard one is not 0 (Louizos, equation 12)."""
    if distribution == "concrete":
        return logits.sigmoid()
    return (logits - temperature * log(-LOW / HIGH)).sigmoid()


def _harden(mask: torch.Tensor, distribution: Distribution) -> torch.Tensor:
    return mask if distribution == "concrete" else (mask * (HIGH - LOW) + LOW).clamp(0, 1)


def free_logits(
    positions: int, embeddings: Float[torch.Tensor, "tokens dim"], start: torch.Tensor | None
) -> tuple[Explainer, list[torch.Tensor]]:
    """One logit per position and token, 0 or `start` at first, and what is to be learned."""
    first = torch.zeros(positions, len(embeddings)) if start is None else start
    logits = first.to(embeddings.device, torch.float32).clone().requires_grad_()
    return (lambda: logits), [logits]


def mlps(
    positions: int, embeddings: Float[torch.Tensor, "tokens dim"], hidden: int, random: torch.Generator
) -> tuple[Explainer, list[torch.Tensor]]:
    """The paper's explainer, an MLP on the token embedding for every position, and what is to be learned."""

    def parameter(*shape: int, bound: float) -> torch.Tensor:
        uniform = torch.rand(shape, generator=random) * (2 * bound) - bound
        return uniform.to(embeddings.device, torch.float32).requires_grad_()

    dim, inputs = embeddings.shape[1], embeddings.float()
    weights = [
        parameter(positions, dim, hidden, bound=dim**-0.5),
        parameter(positions, 1, hidden, bound=dim**-0.5),
        torch.full((positions, 1, 1), 0.25, device=embeddings.device, requires_grad=True),
        parameter(positions, hidden, 1, bound=hidden**-0.5),
        parameter(positions, 1, 1, bound=hidden**-0.5),
    ]

    def explain() -> torch.Tensor:
        """All positions' MLPs at once: Linear - PReLU - Linear as batched products."""
        first, first_bias, slope, second, second_bias = weights
        raised = inputs @ first + first_bias
        return ((raised.clamp(min=0) + slope * raised.clamp(max=0)) @ second + second_bias)[..., 0]

    return explain, weights


def warm_start(kind: WarmStart, run: Run) -> Float[torch.Tensor, "positions tokens"] | None:
    """First logits from a cheap map: raw cross-attention, the positive part of input x gradient, or value zeroing, each
    relative to the largest of its position; or value norms, relative to the largest of the clip, which also say when
    there is little to explain. They stay within 0.1 and 0.9, from where learning can still take them anywhere. None for
    `half`: a mask of 0.5."""
    if kind == "half":
        return None
    if kind == "value_norms":
        norms = norms_at_positions(run)
        return (norms / norms.amax().clamp(min=torch.finfo(norms.dtype).tiny)).clamp(0.1, 0.9).logit()
    to_positions = run.generation.timeline.to_positions
    if kind == "attention":
        capture = Capture()
        with edit_attention(run.model.cross_attention(), capture):
            run.hidden_states()
        found = capture.weights()[0].float()
    elif kind == "value_zeroing":
        found = to_positions(zeroing_distances(run, run.model.cross_attention()).float())
    else:
        derivatives = token_derivatives(run.model, run.generation, run.conditioning)
        found = to_positions(derivatives.float()).clamp(min=0)
    largest = found.amax(1, keepdim=True).clamp(min=torch.finfo(found.dtype).tiny)
    return (found / largest).clamp(0.1, 0.9).logit()
