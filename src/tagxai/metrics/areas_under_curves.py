"""Areas under the precision-recall and the ROC curve over word x time: average precision and ROC AUC."""

from __future__ import annotations

from typing import ClassVar

from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.word_time import average_precision, roc_auc


class AveragePrecision(Localisation):
    """Average precision of the true cells of word x time, ties by expectation (McSherry & Najork 2008)."""

    name: ClassVar[str] = "average_precision"
    formula = staticmethod(average_precision)


class RocAuc(Localisation):
    """How often a true cell of word x time beats a false one (area under the ROC curve)."""

    name: ClassVar[str] = "roc_auc"
    formula = staticmethod(roc_auc)
