"""The tables of laboratory.py, as Markdown. Intervals are of the mean over clips (95 %)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

import torch
from laboratory_measures import CELLS, CONTROLS, KINDS, METRICS

from tagxai.laboratory.judging.strata import STRATA
from tagxai.metrics.intervals import mean_interval

Record = dict[str, Any]
Records = Sequence[Record]

PRECISION = ("figures", "event", "average precision")

DETECTABLE = (0.02, 0.03, 0.05, 0.10)
"""Differences of average precision for which the number of clips is computed."""

POWER = 1.96 + 0.8416
"""A difference of that many standard errors is found by a two-sided test at 5 % in 80 of 100 samples."""


def cell(
    values: Sequence[float],
    others: Sequence[float] | None = None,
    digits: int = 3,
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> str:
    """The mean, or the mean of paired differences, with its interval; of values within `bounds`, if there are any."""
    if not values:
        return "-"
    beside = None if others is None else torch.tensor(others)
    return mean_interval(torch.tensor(values), beside, bounds=bounds if beside is None else None).text(digits)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"### {title}", "", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def answers(records: Records, name: str) -> list[Record]:
    """What was measured of a method, in every clip that has confirmed words."""
    return [record["methods"][name] for record in records if record["methods"].get(name)]


def column(records: Records, name: str, *path: str) -> list[float]:
    """One figure of a method, of every clip that has it."""
    found: list[float] = []
    for answer in answers(records, name):
        value: Any = answer
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, (int, float)):
            found.append(float(value))
    return found


def cost(records: Records, name: str) -> str:
    found = answers(records, name)
    if name in CONTROLS or not found or any("generate_seconds" not in each for each in found):
        return "-"
    own, generating = (sum(float(each[key]) for each in found) for key in ("seconds", "generate_seconds"))
    return f"{own / generating:.2f}"


def localisation(records: Records, methods: Sequence[str]) -> list[str]:
    """A table for each kind of word: the strict metrics, and beside those of word x time the three-valued ones."""
    lines = []
    for kind in KINDS:
        clips = sum(any(kind in each["figures"] for each in r["methods"].values() if each) for r in records)
        if not clips:
            continue
        columns = ["method"]
        for metric in METRICS:
            columns += [metric, f"{metric}, three-valued"] if metric in CELLS and kind != "negation" else [metric]
        rows = []
        for name in (*CONTROLS, *methods):
            row = [name]
            for metric in METRICS:
                row.append(cell(column(records, name, "figures", kind, metric)))
                if metric in CELLS and kind != "negation":
                    row.append(cell(column(records, name, "three_valued", kind, metric)))
            precision = column(records, name, "figures", kind, "average precision")
            rows.append((_mean(precision), [*row, cost(records, name)]))
        ordered = [row for _, row in sorted(rows, key=lambda row: -row[0])]
        lines += table(f"Words of kind: {kind} ({clips} clips)", [*columns, "cost / generate"], ordered)
    return lines


def differences(records: Records, methods: Sequence[str], against: str) -> list[str]:
    """How much better each method is than `against`, clip by clip, for the words of events."""
    both = [r for r in records if "event" in (r["methods"].get(against) or {"figures": {}})["figures"]]
    rows = []
    for name in (name for name in methods if name != against):
        pairs = [[r["methods"][each]["figures"]["event"] for each in (name, against)] for r in both]
        rows.append(
            [
                name,
                *(cell([one[metric] for one, _ in pairs], [other[metric] for _, other in pairs]) for metric in METRICS),
            ]
        )
    return table(f"Words of events: difference to {against}, paired", ["method", *METRICS], rows)


def by_stratum(records: Records, methods: Sequence[str]) -> list[str]:
    """Average precision for the words of events, strict and three-valued, of each stratum."""
    lines = []
    for title, key in (("strict", "figures"), ("three-valued", "three_valued")):
        groups = {name: [r for r in records if name in r.get("strata", ())] for name in STRATA}
        groups = {name: group for name, group in groups.items() if group}
        columns = ["method", *(f"{name} ({len(group)})" for name, group in groups.items())]
        rows = [
            [name, *(cell(column(g, name, key, "event", "average precision"), digits=2) for g in groups.values())]
            for name in (*CONTROLS, *methods)
        ]
        lines += table(f"Average precision by stratum (clips), {title}", columns, rows)
    return lines


def lacking(records: Records, methods: Sequence[str], key: str, title: str) -> list[str]:
    """The explanations of clips that lack an event: a twin's, or those of clips in which the model ignored a word."""
    having = [r for r in records if any(bool((answer or {}).get(key)) for answer in r["methods"].values())]
    names = ("average precision, all events made", "strict, one lacking", "three-valued, one lacking")
    columns = ["method", *names, "share of its words, made", "share of its words, lacking", "difference, paired"]
    rows = []
    for name in (*CONTROLS, *methods):
        made, without = column(having, name, key, "in the clip"), column(having, name, key, "in the twin")
        if made:
            rows.append(
                [
                    name,
                    cell(column(having, name, *PRECISION)),
                    *(cell(column(having, name, key, each)) for each in ("strict", "three-valued")),
                    *(cell(values, digits=2) for values in (made, without)),
                    cell(made, without, digits=2),
                ]
            )
    return table(f"{title} ({len(having)} clips)", columns, rows) if rows else []


def needed_now(records: Records, methods: Sequence[str]) -> list[str]:
    """Average precision by the truth of short windows, beside that of the whole clip on the same clips."""
    having = [r for r in records if any(bool((answer or {}).get("now")) for answer in r["methods"].values())]
    paths = (PRECISION, ("now", "event", "average precision"))
    rows = [[n, *(cell(column(having, n, *path)) for path in paths)] for n in (*CONTROLS, *methods)]
    columns = ["method", "made by the word", "needs the word now"]
    return table(f"Average precision by the two questions ({len(having)} clips)", columns, rows) if having else []


def single_words(records: Records, methods: Sequence[str]) -> list[str]:
    """The share of single words in their mention's score, by what removing them shows."""
    roles = ("necessary", "redundant", "idle")
    counts = {role: sum(each == role for r in records for each in r.get("single_words", ())) for role in roles}
    rows = []
    for name in methods:
        found = [answer.get("single_words", {}) for answer in answers(records, name)]
        rows.append(
            [
                name,
                *(
                    cell([v for each in found for v in each.get(role, ())], digits=2, bounds=(0.0, 3.0))
                    for role in roles
                ),
            ]
        )
    columns = ["method", *(f"{role} ({counts[role]} words)" for role in roles)]
    return (
        table("Single words: share of their mention's score, 1 is equal", columns, rows) if any(counts.values()) else []
    )


def denials(records: Records, methods: Sequence[str]) -> list[str]:
    rows = []
    for name in methods:
        shares = [answer["importance"] for answer in answers(records, name)]
        denied = [share for share in shares if "denied" in share]
        rows.append(
            [
                name,
                *(cell([s[k] for s in denied if k in s], bounds=(-1.0, 1.0)) for k in ("present", "denied", "filler")),
            ]
        )
    title = "Mean score of a word as a share of the clip's best: asked for, denied, filler"
    return table(title, ["method", "asked for", "denied", "filler"], rows)


def clips_needed(records: Records, methods: Sequence[str], against: str) -> list[str]:
    """How many clips show a difference of average precision, from the spread of paired differences in these clips."""
    rows = []
    for name in (name for name in methods if name != against):
        pairs = [
            tuple((r["methods"].get(each) or {}).get("figures", {}).get("event") for each in (name, against))
            for r in records
        ]
        gaps = [one["average precision"] - other["average precision"] for one, other in pairs if one and other]
        if len(gaps) > 1:
            spread = float(torch.tensor(gaps).std())
            needed = (str(max(2, ceil((POWER * spread / gap) ** 2))) for gap in DETECTABLE)
            rows.append([name, f"{spread:.3f}", *needed])
    columns = ["method", "sd of the difference", *(f"to see {gap:.2f}" for gap in DETECTABLE)]
    title = f"Clips that a claim needs: average precision beside {against}, 5 % level, 80 % power"
    return table(title, columns, rows)


def report(kept: dict[str, Record], methods: Sequence[str], against: str | None, strata: bool) -> str:
    """All tables that the records have figures for."""
    records = [record for record in kept.values() if any(record["methods"].values())]
    best = max(methods, key=lambda name: _mean(column(records, name, *PRECISION)), default=None)
    parts: list[list[str]] = [
        [f"{len(records)} clips with confirmed words, of {len(kept)}.", ""],
        localisation(records, methods),
        differences(records, methods, against) if against else [],
        by_stratum(records, methods) if strata else [],
        lacking(records, methods, "twin", "Twin test: a clip made without the last event's words"),
        lacking(records, methods, "ignored", "Clips in which the model ignored an event that it was asked for"),
        needed_now(records, methods),
        single_words(records, methods),
        denials(records, methods),
        clips_needed(records, methods, against or best) if best else [],
    ]
    return "\n".join(line for part in parts for line in part)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
