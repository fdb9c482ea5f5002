"""How far two answers of a classifier are from one another, as AudioGenX measures it (Kang et al., AAAI 2025)."""

from __future__ import annotations

from jaxtyping import Float

from tagxai.lazy import torch

SMALLEST = 1e-6
"""Added to the probabilities of the second distribution, as in the authors' evaluation."""


def divergence(
    first: Float[torch.Tensor, "clips labels"], second: Float[torch.Tensor, "#clips labels"], exclusive: bool = True
) -> float:
    """KL(first || second) in nats, a mean over clips: sum_c p_c (log p_c - log(q_c + 1e-6)).

    Where labels do not exclude one another, it is the sum over labels of the divergence of yes and no. (Ours.)

    >>> import torch
    >>> round(divergence(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])), 4)
    0.1438
    """
    p, q = first.double(), second.double()
    if not exclusive:
        p, q = torch.stack([p, 1 - p], -1), torch.stack([q, 1 - q], -1)
    terms = torch.special.xlogy(p, p) - torch.special.xlogy(p, q + SMALLEST)
    return float(terms.flatten(1).sum(1).mean())


def change_of_top(original: Float[torch.Tensor, " labels"], new: Float[torch.Tensor, "clips labels"]) -> float:
    """The mean |p_original(y) - p_new(y)| of the label y that is the original's most probable.

    >>> import torch
    >>> round(change_of_top(torch.tensor([0.2, 0.8]), torch.tensor([[0.5, 0.5], [0.1, 0.9]])), 4)
    0.2
    """
    top = int(original.argmax())
    return float((new.double()[:, top] - original.double()[top]).abs().mean())
