"""Average precision over word x time; ties by their expected value (McSherry and Najork, ECIR 2008, section 3)."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.metrics.families.localisation import Localisation, over_cells


def average_precision(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words"] | None = None,
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


class AveragePrecision(Localisation):
    """Average precision of the true cells of word x time, ties by expectation (McSherry & Najork 2008)."""

    name: ClassVar[str] = "average_precision"
    measure = staticmethod(average_precision)
