"""Pointing game: whether the highest score lies where the truth is (Zhang et al., "Excitation Backprop", IJCV 2018)."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.ties import over_cells


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


class PointingGame(Localisation):
    """Whether the highest score over words and seconds lies where the truth is (pointing game, Zhang et al. 2018)."""

    name: ClassVar[str] = "pointing_game"
    formula = staticmethod(pointing_game)
