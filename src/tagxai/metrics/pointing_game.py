"""Pointing game: whether the highest score lies where the truth is (Zhang et al., "Excitation Backprop", IJCV 2018)."""

from __future__ import annotations

from typing import ClassVar

from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.word_time import pointing_game


class PointingGame(Localisation):
    """Whether the highest score over words and seconds lies where the truth is (pointing game, Zhang et al. 2018)."""

    name: ClassVar[str] = "pointing_game"
    formula = staticmethod(pointing_game)
