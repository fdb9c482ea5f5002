"""Which sets of words a metric of faithfulness asks about: along a ranking, or drawn at random."""

from __future__ import annotations

from tagxai.lazy import Bool, Float, Int, torch


def rankings(scores: Float[torch.Tensor, " words"]) -> Int[torch.Tensor, "orders words"]:
    """The words, best first: equal ones in the prompt's order and, if there are any, also in its reverse.

    A mean over both is fair to equal words as far as two orders can be: that of all equal scores is exactly a ranking
    and its reverse.

    >>> import torch
    >>> rankings(torch.tensor([1.0, 3.0, 1.0])).tolist()
    [[1, 0, 2], [1, 2, 0]]
    """
    first = scores.argsort(descending=True, stable=True)
    second = len(scores) - 1 - scores.flip(0).argsort(descending=True, stable=True)
    return torch.stack([first, second]).unique(dim=0)


def prefixes(order: Int[torch.Tensor, " words"]) -> Bool[torch.Tensor, "sizes words"]:
    """Row k keeps the first k words of an order, from none to all.

    >>> import torch
    >>> prefixes(torch.tensor([1, 0])).int().tolist()
    [[0, 0], [0, 1], [1, 1]]
    """
    return order.argsort() < torch.arange(len(order) + 1)[:, None]


def random_sets(words: int, samples: int, seed: int) -> Bool[torch.Tensor, "coalitions words"]:
    """`samples` sets that hold each word with probability 1/2."""
    return torch.rand(samples, words, generator=torch.Generator().manual_seed(seed)) < 0.5
