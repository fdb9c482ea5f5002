"""The page of `growth.py`: exponents in a table, and lines in a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from math import log
from typing import Any

GENERATING = "generating"
Line = list[tuple[float, float, float]]
"""Size, seconds and bytes."""


def of_model(found: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What was measured of one model, with its dtype and device: a folder may hold several."""
    return {key: value for key, value in found.items() if json.loads(key)[0] == model}


def lines(found: Mapping[str, Any]) -> dict[str, dict[str, Line]]:
    """For each axis and kind of work, what was measured, by size."""
    by_axis: dict[str, dict[str, Line]] = {}
    for key, value in found.items():
        _, axis, work, size = json.loads(key)
        if "seconds" in value:
            by_axis.setdefault(axis, {}).setdefault(work, []).append((size[axis], value["seconds"], value["bytes"]))
    return {axis: {work: sorted(line) for work, line in works.items()} for axis, works in by_axis.items()}


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The slope of a straight line through the logarithms; None for fewer than two sizes.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    points = [(log(size), log(value)) for size, value in zip(sizes, values, strict=True) if value > 0]
    if len(points) < 2:
        return None
    x, y = (sum(each) / len(points) for each in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def relative(line: Line, base: Line) -> float | None:
    """The exponent of the time divided by that of generating, over the sizes that both have."""
    generating = {size: seconds for size, seconds, _ in base}
    shared = [(size, seconds / generating[size]) for size, seconds, _ in line if generating.get(size)]
    return exponent(*zip(*shared, strict=True)) if shared else None


def markdown(found: Mapping[str, Any], measured_on: str) -> str:
    text = ["# How cost grows", "", f"`benchmarks/growth.py`; {measured_on}.", ""]
    text += ["Seconds and peak memory at each size; the exponents of time, of time relative to generating, and of"]
    text += ["memory (fits through few points: one figure is meant).", "", "![growth](growth.png)", ""]
    for axis, works in lines(found).items():
        base = works.get(GENERATING, [])
        sizes = sorted({size for line in works.values() for size, *_ in line})
        heads = [f"{axis} {size:g}" for size in sizes]
        text += [f"## By {axis}", "", f"| work | {' | '.join(heads)} | time | relative | memory |"]
        text += ["| --- " * (len(heads) + 4) + "|"]
        for work, line in works.items():
            cells = {size: f"{seconds:.3g} s, {held / 1e6:.0f} MB" for size, seconds, held in line}
            fits = [exponent(*zip(*((size, seconds) for size, seconds, _ in line), strict=True)), relative(line, base)]
            fits += [exponent(*zip(*((size, held) for size, _, held in line), strict=True))]
            row = [*(cells.get(size, "–") for size in sizes), *("–" if fit is None else f"{fit:.2f}" for fit in fits)]
            text.append(f"| {work} | {' | '.join(row)} |")
        text.append("")
    errors = [(json.loads(key)[1:], value["error"]) for key, value in found.items() if "error" in value]
    text += [f"- {axis}, {work}, {size}: {error}" for (axis, work, size), error in errors]
    return "\n".join(text).rstrip("\n") + "\n"


def draw(found: Mapping[str, Any]) -> bytes:
    """Time above and memory below, both axes logarithmic, a column for each axis."""
    from matplotlib.figure import Figure

    axes = lines(found)
    figure = Figure(figsize=(3.4 * max(1, len(axes)), 6), dpi=110, layout="constrained")
    panels = figure.subplots(2, max(1, len(axes)), squeeze=False)
    for column, (axis, works) in enumerate(axes.items()):
        for row, (place, unit) in enumerate(((1, "seconds"), (2, "MB at the peak"))):
            panel = panels[row][column]
            for work, line in works.items():
                scale = 1.0 if place == 1 else 1e-6
                style = {"color": "black", "linewidth": 2} if work == GENERATING else {"linewidth": 1}
                panel.plot(
                    [each[0] for each in line], [each[place] * scale for each in line], "o-", label=work, **style
                )
            panel.set(xscale="log", yscale="log" if place == 1 else "symlog", xlabel=axis, ylabel=unit)
            sizes = sorted({each[0] for line in works.values() for each in line})
            panel.set_xticks(sizes, [f"{size:g}" for size in sizes])
            panel.minorticks_off()
            panel.grid(linewidth=0.3)
    named, names = panels[0][0].get_legend_handles_labels()
    if named:
        figure.legend(named, names, loc="outside lower center", ncols=4, fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
