"""The tables of a benchmark as text: leaderboards, comparisons, failures, costs and provenance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from tagxai.benchmark.leaderboard import Board
from tagxai.benchmark.results import Results
from tagxai.benchmark.variance import Spread
from tagxai.report.absence_table import ABSENCE_HEADER, ABSENT, absence_rows
from tagxai.report.benchmark_clips import ClipPages
from tagxai.report.board_plot import plot_boards

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNIFICANT = 0.05
FAILED = "FAILED"


class Table(NamedTuple):
    """A title, a sentence on how to read it, rows of text, and a picture of the same values, also on a dark ground.

    `links` hold an address for each row's first cell, empty where there is none.
    """

    title: str
    text: str
    header: list[str]
    rows: list[list[str]]
    picture: str = ""
    png: bytes = b""
    dark: bytes = b""
    links: Sequence[str] = ()


def tables(results: Results, pages: ClipPages | None = None, *, drawn: bool = False) -> list[Table]:
    """All tables in order; what depends on a clock or machine comes last. Methods and prompts link to `pages`.

    Pictures take a second each: only `drawn` tables have them.
    """
    pages = pages or {}
    boards = results.boards
    groups = dict.fromkeys((board.generator, board.family) for board in boards)
    shown = [
        _leaderboard(*group, [b for b in boards if (b.generator, b.family) == group], results, pages, drawn)
        for group in groups
    ]
    shown += [_comparisons(board) for board in boards if any(entry.difference for entry in board.entries)]
    shown += _spreads(results.spreads)
    broken = [[board.generator, board.title, board.failed or ""] for board in boards if board.failed]
    if broken:
        shown.append(
            Table("Metrics that failed", "Their controls are out of order.", ["generator", "metric", "why"], broken)
        )
    if results.absences:
        shown.append(Table("Cells without a value", ABSENT, ABSENCE_HEADER, absence_rows(results.absences)))
    cost_rows = [
        [
            c.generator,
            c.method,
            f"{c.seconds:.3g}",
            "–" if c.ratio is None else f"{c.ratio:.2g}×",
            c.passes,
            f"{c.clips}",
        ]
        for c in results.costs
    ]
    header = ["generator", "method", "seconds", "of generating", "passes", "clips"]
    shown.append(Table("Cost of an explanation", "Medians over clips.", header, cost_rows))
    if pages:
        clips = [[prompt, generator, str(seed)] for generator, prompt, seed in pages]
        text = "Every explanation of a clip on one page."
        shown.append(Table("Clips", text, ["prompt", "generator", "seed"], clips, links=list(pages.values())))
    shown.append(Table("Provenance", "", ["what", "value"], _provenance(results)))
    return shown


def _leaderboard(
    generator: str, family: str, boards: list[Board], results: Results, pages: ClipPages, drawn: bool
) -> Table:
    methods = [method.label for method in results.methods]
    present = [m for m in methods if any(board.entry(m) or board.failed or m in board.absent for board in boards)]
    reference = results.reference
    text = (
        f"Means over n prompts with 95 % intervals, where so few prompts allow one. * differs from {reference} "
        f"(sign-flip test, Holm-corrected, p < {SIGNIFICANT:g}). Controls are in italics or between asterisks."
    )
    for why in dict.fromkeys(board.unjudged for board in boards if board.unjudged):
        titles = ", ".join(board.title for board in boards if board.unjudged == why)
        text += f" Not judged by controls, because {why}: {titles}."
    controls = {method.label for method in results.methods if method.is_control}
    rows = [[named(method, method in controls), *(cell_text(board, method) for board in boards)] for method in present]
    judged = next((board for board in boards if not board.failed), None)
    links = [_worst(method, judged, results, pages) for method in present]
    if any(links) and judged is not None:
        text += f" A method's name leads to the clip on which it did worst by {judged.metric}."
    header = ["method", *(board.title for board in boards)]
    title = f"Leaderboard: {generator}, {family}"
    if not drawn:
        return Table(title, text, header, rows, links=links)
    name = re.sub(r"\W+", "-", f"{generator} {family}")
    light, dark = (picture(plot_boards(boards, dark=dark)) for dark in (False, True))
    return Table(title, text, header, rows, f"{name}.png", light, dark, links)


def picture(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})  # the same bytes for the same values
    return buffer.getvalue()


def _worst(method: str, board: Board | None, results: Results, pages: ClipPages) -> str:
    """The address of the clip on which a method did worst by a board's metric; empty where there is no page."""
    if board is None:
        return ""
    cells = [
        cell
        for cell in results.cells
        if (cell.generator, cell.method, cell.metric) == (board.generator, method, board.metric)
        and cell.value is not None
        and (cell.generator, cell.prompt, cell.seed) in pages
    ]
    if not cells:
        return ""
    sign = 1 if board.higher_is_better else -1
    worst = min(cells, key=lambda cell: sign * (cell.value or 0.0))
    return f"{pages[worst.generator, worst.prompt, worst.seed]}#{urlencode({'method': method})}"


def named(method: str, is_control: bool) -> str:
    """A method as tables show it: controls are marked."""
    return f"*{method}*" if is_control else method


def cell_text(board: Board, method: str) -> str:
    """A method's mean on a board, with its interval and n; else what became of it."""
    if board.failed:
        return FAILED
    entry = board.entry(method)
    if entry is None:
        return board.absent.get(method, "–")
    star = "*" if entry.difference is not None and entry.difference.holm < SIGNIFICANT else ""
    return f"{entry.interval.text()}{star} ({entry.count})"


def _comparisons(board: Board) -> Table:
    rows = []
    for entry in board.entries:
        found, place = entry.difference, entry.place
        figures = [str(place.rank), place.groups] if place is not None else ["–", "–"]
        if found is not None:
            figures += [found.interval.text(sign="+"), f"{found.p:.4f}", f"{found.holm:.4f}", f"{found.delta:+z.2f}"]
            rows.append([named(entry.method, entry.is_control), *figures, f"{found.prompts}"])
        elif place is not None:
            rows.append([entry.method, *figures, "–", "–", "–", "–", f"{entry.prompts}"])
    header = ["method", "rank", "groups", "difference", "p", "p (Holm)", "Cliff's delta", "n"]
    title = f"{board.title} on {board.generator}: against {board.reference}"
    text = (
        f"Paired by prompt. Methods with a letter in common cannot be distinguished: no two of them differ with p < "
        f"{SIGNIFICANT:g} by Holm's correction over all pairs of methods ({len(board.pairs)})."
    )
    return Table(title, text, header, rows)


def _spreads(spreads: Sequence[Spread]) -> list[Table]:
    """For each generator, how far prompts and seeds spread the values of each method."""
    tables = []
    for generator in dict.fromkeys(each.generator for each in spreads):
        rows = []
        for metric, method, found in (each[1:] for each in spreads if each.generator == generator):
            share = "–" if found.share is None else f"{found.share:.0%}"
            sizes = [f"{found.prompts}", f"{found.clips}"]
            rows.append([metric, method, f"{found.prompt:.3g}", f"{found.seed:.3g}", share, *sizes])
        text = "Standard deviations of prompts' means and of the seeds of one prompt (a random-effects model)."
        header = ["metric", "method", "over prompts", "over seeds", "variance by prompts", "prompts", "clips"]
        tables.append(Table(f"Prompts and seeds: {generator}", text, header, rows))
    return tables


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
        for entry in (*run.plan.methods, *run.plan.metrics):
            if entry.settings:
                content[entry.label] = ", ".join(f"{key}={value}" for key, value in entry.settings.items())
        rows += [[key, ", ".join(map(str, v)) if isinstance(v, tuple) else str(v)] for key, v in content.items()]
    return rows
