"""Rankings of words or cells against the truth in which ties are fair: equal scores are in random order.

A metric that uses them is its expected value over all orders of equal scores, so it depends on no order of words or
frames. A map of equal scores therefore gets exactly what random scores get on average.
"""

from __future__ import annotations

from typing import NamedTuple

from tagxai.lazy import Bool, Float, torch


class Ties(NamedTuple):
    """The ranking of some items, best first, as groups of equal scores: their sizes, and how many of each are true."""

    sizes: list[int]
    hits: list[int]


def ties(scores: Float[torch.Tensor, " items"], truth: Bool[torch.Tensor, " items"]) -> Ties:
    """Rank items by score.

    >>> import torch
    >>> ties(torch.tensor([0.0, 2.0, 0.0, 1.0]), torch.tensor([True, False, False, True]))
    Ties(sizes=[1, 1, 2], hits=[0, 1, 1])
    """
    values, group = scores.unique(return_inverse=True)
    counts = [torch.bincount(chosen, minlength=len(values)).flip(0).tolist() for chosen in (group, group[truth])]
    return Ties(*counts)


def scored_cells(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> tuple[Float[torch.Tensor, " cells"], Bool[torch.Tensor, " cells"]]:
    """Scores and truth of the cells that count; `scored` says which words do, or which cells.

    Raises ValueError where none is true: no explanation is then right.
    """
    if scored is not None:
        scores, truth = scores[scored], truth[scored]
    if not truth.any():
        raise ValueError("nothing is true of the words that count, so no explanation of them is right or wrong")
    return scores.flatten(), truth.flatten()


def over_clip(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> Ties:
    """The words that count ranked by their mean over the clip; a word is true if it is true at some frame.

    A word counts if any of its cells does.
    """
    whole = scored if scored is None or scored.ndim == 1 else scored.any(1)
    scored_cells(scores, truth, whole)  # refuses a truth about nothing
    if whole is not None:
        scores, truth = scores[whole], truth[whole]
    return ties(scores.double().mean(1), truth.any(1))


def over_cells(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> Ties:
    """Every word at every frame, ranked; of the cells that count."""
    return ties(*scored_cells(scores, truth, scored))
