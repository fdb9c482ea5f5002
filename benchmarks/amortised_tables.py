"""Does the amortised explainer earn its place? Its figures beside those of other methods, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from laboratory_tables import cell

from tagxai.metrics.intervals import Interval, mean_interval

ONE_PASS = ("cross_attention", "alti")
"""Methods of one forward pass, which need no training: what an amortised explainer has to beat."""
METRICS = ("hit@1", "pointing game", "average precision")


def ruled_out(difference: Interval, seconds: float, own: float, *, one_pass: bool) -> bool:
    """Whether another method makes the explainer superfluous.

    Such a method is better beyond chance, or is as good in one pass and takes at most half as much time again.
    """
    better = difference.mean < 0 if difference.high is None else difference.high < 0
    as_good = one_pass and (difference.low is None or difference.low <= 0) and seconds <= 1.5 * own
    return better or as_good


def tables(kept: Mapping[str, Any]) -> str:
    records = [each["methods"] for each in kept.values() if each["methods"]["amortised"]["figures"]]
    if not records:
        return f"No word of an event is confirmed in any of the {len(kept)} test clips; take more."
    names = list(records[0])

    def column(name: str, metric: str) -> list[float]:
        return [record[name]["figures"][metric] for record in records]

    seconds = {name: sorted(record[name]["seconds"] for record in records)[len(records) // 2] for name in names}
    lines = [f"{len(records)} test clips with confirmed words of events, of {len(kept)}.", ""]
    lines += ["| method | " + " | ".join(METRICS) + " | CPU ms a clip |", "|---" * (len(METRICS) + 2) + "|"]
    for name in sorted(names, key=lambda name: -mean(column(name, "average precision"))):
        cells = [cell(column(name, metric)) for metric in METRICS]
        lines.append("| " + " | ".join([name, *cells, f"{1000 * seconds[name]:.0f}"]) + " |")
    lines += ["", "### The explainer minus another, clip by clip", ""]
    lines += ["| other | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 1) + "|"]
    against = []
    for name in names[1:]:
        found = {
            metric: mean_interval(torch.tensor(column("amortised", metric)), torch.tensor(column(name, metric)))
            for metric in METRICS
        }
        cells = [each.text(2, "+") for each in found.values()]
        lines.append("| " + " | ".join([name, *cells]) + " |")
        if ruled_out(found[METRICS[-1]], seconds[name], seconds["amortised"], one_pass=name in ONE_PASS):
            against.append(name)
    verdict = f"no, not beside {', '.join(against)}" if against else "yes"
    return "\n".join([*lines, "", f"Does it earn its place, by average precision and cost? {verdict}."])


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
