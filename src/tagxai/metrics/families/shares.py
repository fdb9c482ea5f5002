"""The share of some words in an explanation of a whole clip."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.lazy import Float, torch


def share_of_words(scores: Float[torch.Tensor, "words frames"], mine: Sequence[int], all_: Sequence[int]) -> float:
    """What `mine` have of the positive scores of `all_` words, by their means over the clip; 0 where none is positive.

    >>> import torch
    >>> share_of_words(torch.tensor([[3.0, 1.0], [6.0, 6.0], [9.0, 9.0]]), [0], [0, 1])
    0.25
    """
    means = scores.double().clamp(min=0).mean(1)
    total = float(means[list(all_)].sum())
    return float(means[list(mine)].sum()) / total if total else 0.0
