"""Area under the ROC curve over word x time: how often a true cell beats a false one (Hanley and McNeil, 1982)."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.metrics.families.localisation import Localisation, over_cells


def roc_auc(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words"] | None = None,
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


class RocAuc(Localisation):
    """How often a true cell of word x time beats a false one (area under the ROC curve)."""

    name: ClassVar[str] = "roc_auc"
    measure = staticmethod(roc_auc)
