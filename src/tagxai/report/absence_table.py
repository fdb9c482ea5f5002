"""The table of cells without a value: what does not apply, what failed and what is missing, each with why."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.benchmark.summaries import Absence

ABSENCE_HEADER = ["generator", "method", "metric", "status", "why", "cells"]
ABSENT = (
    "Not applicable: the question has no answer here. Failed: --retry-failed computes it again. Missing: the run has "
    "not come to it."
)
NAMED = 4
"""As many names are listed; of more, only their number."""


def absence_rows(found: Sequence[Absence]) -> list[list[str]]:
    """A row for each generator, status and sentence, with the methods and metrics that it is said of.

    >>> absence_rows([Absence("g", m, "roc_auc", "failed", "too long", 2) for m in ("a", "b")])
    [['g', 'a, b', 'roc_auc', 'failed', 'too long', '4']]
    """
    groups: dict[tuple[str, str, str], list[Absence]] = {}
    for each in found:
        groups.setdefault((each.generator, each.status, each.why), []).append(each)
    return [
        [
            generator,
            _names([each.method for each in group], "methods"),
            _names([each.metric for each in group], "metrics"),
            status,
            why,
            str(sum(each.cells for each in group)),
        ]
        for (generator, status, why), group in groups.items()
    ]


def _names(names: Sequence[str], kind: str) -> str:
    distinct = list(dict.fromkeys(names))
    return ", ".join(distinct) if len(distinct) <= NAMED else f"{len(distinct)} {kind}"
