"""The tables of `methods_cost.py`, in Markdown."""

from __future__ import annotations

from typing import Any

from cost_rows import AIMS, GENERATE, OURS, PASS, PROMPT
from cost_timing import Spread, ratios

PASSES = ("forward", "backward", "forward_mode", "layer")
COLUMNS = ("", "CPU s", "of generating", "of a pass", *(kind.replace("_", "-") for kind in PASSES), "peak MiB", "n", "")


def markdown(results: dict[str, Any]) -> str:
    """All tables of one file of results."""
    lines = [
        "# What methods cost",
        "",
        f"{PROMPT!r}, {results['seconds']:g} s. CPU seconds, measured in turn with generating the clip and with one",
        "teacher-forced pass over it: the median of n repeats and [lowest, highest]; ratios are taken within a repeat.",
        "`generate` is generating beside itself: what differs from 1 there is noise. Passes are counted by their kind.",
    ]
    for model, found in results["models"].items():
        lines += ["", f"## `{model}`", "", *costs(found), "", *aims(found)]
        lines += ["", *beside_captum(found)] if any(row in found for row in OURS) else []
        lines += ["", *sorted({row["machine"] for row in found.values()})]
    return "\n".join([*lines, ""])


def costs(found: dict[str, dict[str, Any]]) -> list[str]:
    """A line for every row; a row that failed says why."""
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    for name, row in found.items():
        if "error" in row:
            lines.append(_line([name, *[""] * (len(COLUMNS) - 2), row["error"]]))
            continue
        few, every = row.get("measured_codes"), row.get("all_codes")
        passes = [f"{row[f'{kind}_passes']:g}" if row.get(f"{kind}_passes") else "" for kind in PASSES]
        lines.append(
            _line(
                [
                    name,
                    f"{Spread.of(row['seconds']).median:.3g}",
                    *(str(against(row, reference)) for reference in (GENERATE, PASS)),
                    *passes,
                    "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
                    str(len(row["seconds"])),
                    f"extrapolated from {few} of {every} codes" if few else "",
                ]
            )
        )
    return lines


def against(row: dict[str, Any], reference: str) -> Spread:
    return Spread.of(ratios(row["seconds"], row["references"][reference]))


def aims(found: dict[str, dict[str, Any]]) -> list[str]:
    """What we want the ratios to be, where their rows were measured."""
    lines = [_line(["aim", "found", "wanted", "met"]), _line(["---"] * 4)]
    for aim in AIMS:
        row = found.get(aim.row, {})
        if "seconds" in row:
            ratio = against(row, aim.reference)
            met = "yes" if aim.met(ratio.median) else "no"
            lines.append(_line([aim.what, str(ratio), f"{aim.sign} {aim.limit:g}", met]))
    return lines


def beside_captum(found: dict[str, dict[str, Any]]) -> list[str]:
    """How many times as long captum takes for the same result."""
    lines = [_line(["captum, one code at a time", "ours", "captum / ours"]), _line(["---"] * 3)]
    for name, ours in OURS.items():
        if "seconds" in found.get(name, {}):
            lines.append(_line([name.rpartition(" ")[2], ours, str(against(found[name], ours))]))
    return lines


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
