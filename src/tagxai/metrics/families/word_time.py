"""Formulas that compare scores of words by frames with the truth; the metrics say which truth that is.

Ties are resolved by expectation over random orders of equal cells.
"""

from __future__ import annotations

from tagxai.lazy import Bool, Float, torch
from tagxai.metrics.families.ties import over_cells, scored_cells


def average_precision(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> float:
    """The mean, over true cells, of the precision at their rank: its expected value over random orders of equal cells.

    Chance is a little above the share of true cells. The sign of scores counts, their scale does not.

    >>> import torch
    >>> truth = torch.tensor([[True, False], [True, False]])
    >>> average_precision(torch.tensor([[4.0, 2.0], [3.0, 1.0]]), truth)
    1.0
    >>> average_precision(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), truth)  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    sizes, hits = over_cells(scores, truth, scored)
    above = found = 0
    total = 0.0
    for size, true in zip(sizes, hits, strict=True):
        if true:
            # Place j of the group is true in true / size of the orders; (j - 1) (true - 1) / (size - 1)
            # of the places before it in the group are then expected to be true as well.
            before = torch.arange(size, dtype=torch.float64)
            precision = (found + 1 + before * (true - 1) / max(1, size - 1)) / (above + 1 + before)
            total += true * float(precision.mean())
        above += size
        found += true
    return total / found


def roc_auc(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> float:
    """The probability that a true cell scores higher than a false one; an equal score counts as half.

    Chance: 0.5, whatever the share of true cells; it is also the value where no cell is false. The sign of scores
    counts, their scale does not.

    >>> import torch
    >>> truth = torch.tensor([[True, False], [True, False]])
    >>> roc_auc(torch.tensor([[4.0, 2.0], [2.0, 1.0]]), truth)  # four pairs: three won, one tied
    0.875
    """
    sizes, hits = over_cells(scores, truth, scored)
    true, false = sum(hits), sum(sizes) - sum(hits)
    won, below = 0.0, false
    for size, here in zip(sizes, hits, strict=True):
        below -= size - here
        won += here * (below + (size - here) / 2)
    return won / (true * false) if false else 0.5


def pointing_game(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> float:
    """Whether the maximum over words and frames is true; where it is reached more than once, the share that is true.

    Chance: the share of true cells. The sign of scores counts, their scale does not. Unlike Zhang et al. no margin is
    granted around the truth, and all words share one map: the right time at a wrong word is a miss.

    >>> import torch
    >>> truth = torch.tensor([[True, False], [False, False]])
    >>> pointing_game(torch.tensor([[3.0, 1.0], [2.0, 0.0]]), truth)
    1.0
    >>> pointing_game(torch.ones(2, 2), truth)
    0.25
    """
    sizes, hits = over_cells(scores, truth, scored)
    return hits[0] / sizes[0]


def relevance_mass(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> float:
    """The share of the positive scores that lies on true cells; negative scores count as 0.

    Chance: the share of true cells, which is also the value where no score is positive. The scale of scores does not
    count, but a constant that is added to all does: an explanation with an offset has mass everywhere.

    >>> import torch
    >>> truth = torch.tensor([[True, True], [False, False]])
    >>> relevance_mass(torch.tensor([[2.0, 1.0], [1.0, -5.0]]), truth)
    0.75
    >>> relevance_mass(torch.zeros(2, 2), truth)
    0.5
    """
    scores, truth = scored_cells(scores, truth, scored)
    mass = scores.double().clamp(min=0)
    if not mass.any():
        return float(truth.double().mean())
    mass = mass / mass.max()  # so that no scale makes the sums overflow or vanish
    return float((mass[truth].sum() / mass.sum()).clamp(max=1))


def relevance_rank(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> float:
    """The share of true cells among the K highest, where K cells are true: its expected value over orders of ties.

    Chance: the share of true cells. The sign of scores counts, their scale does not.

    >>> import torch
    >>> truth = torch.tensor([[True, True], [False, False]])
    >>> relevance_rank(torch.tensor([[3.0, 0.0], [2.0, 1.0]]), truth)
    0.5
    >>> relevance_rank(torch.tensor([[3.0, 2.0], [2.0, 1.0]]), truth)
    0.75
    """
    sizes, hits = over_cells(scores, truth, scored)
    left = total = sum(hits)
    found = 0.0
    for size, true in zip(sizes, hits, strict=True):
        found += true * min(left, size) / size
        left -= min(left, size)
    return found / total
