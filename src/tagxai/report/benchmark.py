"""`table.md`, `report.html` and pictures of a benchmark: boards, comparisons, costs, failures and provenance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.benchmark.leaderboard import Board, Entry
from tagxai.benchmark.results import Results
from tagxai.report.board_plot import plot_boards
from tagxai.report.page import data_uri, template

SIGNIFICANT = 0.05
FAILED = "FAILED"


class Table(NamedTuple):
    """A title, a sentence that says how to read it, text by rows, and a picture of the same."""

    title: str
    text: str
    header: list[str]
    rows: list[list[str]]
    picture: str = ""
    png: bytes = b""


def write_benchmark(results: Results, folder: Path) -> list[Path]:
    """All files, from results alone: nothing is computed. The page holds its pictures, the table names them."""
    shown = tables(results)
    content = {"table.md": markdown(shown).encode(), "report.html": html(shown).encode()}
    content |= {table.picture: table.png for table in shown if table.picture}
    for name in _pictures(folder / "table.md"):  # of an earlier plan; pictures of others are left alone
        if name not in content:
            (folder / name).unlink(missing_ok=True)
    for name, data in content.items():
        with storage.whole_file(folder / name) as temporary:
            temporary.write_bytes(data)
    return [folder / name for name in content]


def _pictures(table: Path) -> list[str]:
    """Those that a table names, if there is one."""
    text = table.read_text(encoding="utf-8", errors="replace") if table.is_file() else ""
    return re.findall(r"^!\[.*\]\(([\w-]+\.png)\)$", text, re.MULTILINE)


def tables(results: Results) -> list[Table]:
    """All that is shown, in order. What depends on a clock or machine comes last."""
    boards = results.boards
    groups = dict.fromkeys((board.generator, board.family) for board in boards)
    shown = [_leaderboard(*group, [b for b in boards if (b.generator, b.family) == group], results) for group in groups]
    shown += [_comparisons(board) for board in boards if any(entry.difference for entry in board.entries)]
    broken = [[board.generator, board.title, board.failed or ""] for board in boards if board.failed]
    if broken:
        shown.append(
            Table("Metrics that failed", "Their controls are out of order.", ["generator", "metric", "why"], broken)
        )
    if results.failures or results.missing:
        rows = _failures(results.failures)
        rows += [["", "not computed yet", str(results.missing)]] if results.missing else []
        shown.append(Table("Cells without a value", "", ["method", "error", "cells"], rows))
    cost_rows = [
        [c.generator, c.method, f"{c.seconds:.3g}", "–" if c.ratio is None else f"{c.ratio:.2g}×", c.passes]
        for c in results.costs
    ]
    header = ["generator", "method", "seconds", "of generating", "passes"]
    shown.append(Table("Cost of an explanation", "Medians over clips.", header, cost_rows))
    shown.append(Table("Provenance", "", ["what", "value"], _provenance(results)))
    return shown


def markdown(shown: list[Table]) -> str:
    """
    >>> print(markdown([Table("Cost", "", ["method", "passes"], [["a|b", "2"]])]).strip())
    ## Cost
    <BLANKLINE>
    | method | passes |
    | --- | --- |
    | a\\|b | 2 |
    """
    lines = []
    for table in shown:
        lines += [f"## {table.title}", "", *([table.text, ""] if table.text else [])]
        lines += [f"![{table.title}]({table.picture})", ""] if table.picture else []
        for row in (table.header, ["---"] * len(table.header), *table.rows):
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
        lines.append("")
    return "\n".join(lines)


def html(shown: list[Table]) -> str:
    return template("benchmark.html.j2").render(tables=shown, failed=FAILED, data_uri=data_uri)


def _leaderboard(generator: str, family: str, boards: list[Board], results: Results) -> Table:
    methods = [part.label for part in results.methods]
    present = [m for m in methods if any(b.entry(m) or b.failed for b in boards)]
    reference = results.reference
    text = (
        f"Means over prompts with 95 % bootstrap intervals. * differs from {reference} "
        f"(sign-flip test, Holm-corrected, p < {SIGNIFICANT:g}). Controls are in italics or between asterisks."
    )
    if any(len({entry.prompts for entry in board.entries}) > 1 for board in boards):
        text += " n: over fewer prompts than others, for it failed on the rest or is still to come."
    for why in dict.fromkeys(board.unjudged for board in boards if board.unjudged):
        titles = ", ".join(board.title for board in boards if board.unjudged == why)
        text += f" Not judged by controls, for {why}: {titles}."
    controls = {part.label for part in results.methods if part.is_control}
    rows = [
        [_named(method, method in controls), *(_cell(board, board.entry(method)) for board in boards)]
        for method in present
    ]
    buffer = BytesIO()
    plot_boards(boards).savefig(buffer, format="png", metadata={"Software": None})  # the same bytes for the same values
    name = re.sub(r"\W+", "-", f"{generator} {family}")
    header = ["method", *(board.title for board in boards)]
    return Table(f"Leaderboard: {generator}, {family}", text, header, rows, f"{name}.png", buffer.getvalue())


def _failures(found: Sequence[tuple[str, str, int]]) -> list[list[str]]:
    """Each sentence once: what a metric cannot do with a prompt fails for every method.

    >>> _failures([("a", "too long", 2), ("b", "too long", 2), ("b", "a bug", 1)])
    [['a, b', 'too long', '4'], ['b', 'a bug', '1']]
    """
    by_error: dict[str, list[tuple[str, int]]] = {}
    for method, error, number in found:
        by_error.setdefault(error, []).append((method, number))
    return [
        [", ".join(m for m, _ in of) if len(of) <= 5 else f"{len(of)} methods", error, str(sum(n for _, n in of))]
        for error, of in by_error.items()
    ]


def _named(method: str, is_control: bool) -> str:
    return f"*{method}*" if is_control else method


def _cell(board: Board, entry: Entry | None) -> str:
    if board.failed:
        return FAILED
    if entry is None:
        return "–"
    mean, low, high = entry.interval
    star = "*" if entry.difference is not None and entry.difference.holm < SIGNIFICANT else ""
    fewer = f" (n={entry.prompts})" if entry.prompts < max(other.prompts for other in board.entries) else ""
    return f"{mean:z.3f} [{low:z.3f}, {high:z.3f}]{star}{fewer}"


def _comparisons(board: Board) -> Table:
    rows = []
    for entry in board.entries:
        found = entry.difference
        if found is not None:
            mean, low, high = found.interval
            figures = [f"{mean:+z.3f} [{low:+z.3f}, {high:+z.3f}]", f"{found.p:.4f}", f"{found.holm:.4f}"]
            rows.append([_named(entry.method, entry.is_control), *figures, f"{found.delta:+z.2f}", str(found.prompts)])
    header = ["method", "difference", "p", "p (Holm)", "Cliff's delta", "prompts"]
    title = f"{board.title} on {board.generator}: against {board.reference}"
    return Table(title, "Paired by prompt.", header, rows)


def _provenance(results: Results) -> list[list[str]]:
    rows: list[list[str]] = []
    for run in results.runs:
        content: dict[str, Any] = {**run.provenance["versions"], **run.provenance, "seeds": run.plan.seeds}
        del content["versions"]
        content["prompts"] = len(run.plan.prompts)
        content["duration"] = run.plan.duration or "the generator's own"
        content |= {f"setting {name}": value for name, value in run.plan.sampling.items() if value is not None}
        for label, found in run.generators.items():
            identity, machine = found["identity"], found["machine"]
            content[label] = (
                f"{identity['origin']}, weights {identity['weights']}, {identity['dtype']} on {machine['device']}, "
                f"{machine['threads']} threads"
            )
        for part in (*run.plan.methods, *run.plan.metrics):
            if part.settings:
                content[part.label] = ", ".join(f"{key}={value}" for key, value in part.settings.items())
        rows += [[key, ", ".join(map(str, v)) if isinstance(v, tuple) else str(v)] for key, v in content.items()]
    return rows
