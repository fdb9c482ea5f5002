"""Areas under the precision-recall and the ROC curve over word x time: average precision and ROC AUC."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.ties import over_cells


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


class AveragePrecision(Localisation):
    """Average precision of the true cells of word x time, ties by expectation (McSherry & Najork 2008)."""

    name: ClassVar[str] = "average_precision"
    formula = staticmethod(average_precision)


class RocAuc(Localisation):
    """How often a true cell of word x time beats a false one (area under the ROC curve)."""

    name: ClassVar[str] = "roc_auc"
    formula = staticmethod(roc_auc)
