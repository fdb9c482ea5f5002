"""Leaderboards as tables of LaTeX, for the packages booktabs and (of wide ones) graphicx."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tagxai.benchmark.leaderboard import Board
from tagxai.benchmark.results import Results

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
COLUMNS = 5
"""Metrics in one table: more would not fit a page."""


def document(results: Results) -> str:
    """A table for each generator and family of metrics, to be included by `\\input`."""
    head = r"% \usepackage{booktabs} \usepackage[T1]{fontenc}; written by tagxai, do not edit"
    return "\n\n".join(["\n".join([head, *_without_values(results)]), *tables(results)]) + "\n"


def _without_values(results: Results) -> list[str]:
    """A remark for each generator with the metrics that no table has, so that none disappears."""
    remarks = []
    for generator in dict.fromkeys(cell.generator for cell in results.cells):
        shown = {board.metric for board in results.boards if board.generator == generator}
        if absent := [metric.label for metric in results.metrics if metric.label not in shown]:
            names = " ".join(f"{generator}: {', '.join(absent)}".split())
            remarks.append(f"% in no table, as no method has a value on {names}")
    return remarks


def tables(results: Results) -> list[str]:
    boards = results.boards
    groups = dict.fromkeys((board.generator, board.family) for board in boards)
    found = []
    for generator, family in groups:
        own = [board for board in boards if (board.generator, board.family) == (generator, family)]
        parts = [own[first : first + COLUMNS] for first in range(0, len(own), COLUMNS)]
        found += [_table(generator, family, part, number, results) for number, part in enumerate(parts, 1)]
    return found


def escaped(text: str) -> str:
    r"""Text as LaTeX prints it.

    >>> escaped("50 % of hit_at_1")
    '50 \\% of hit\\_at\\_1'
    """
    return "".join(ESCAPES.get(character, character) for character in text)


def _table(generator: str, family: str, boards: Sequence[Board], number: int, results: Results) -> str:
    counts = [_common_count(board) for board in boards]
    heads = [_head(board, count) for board, count in zip(boards, counts, strict=True)]
    best = [_best(board) for board in boards]
    rows = []
    for method in results.methods:
        label = rf"\textit{{{escaped(method.label)}}}" if method.is_control else escaped(method.label)
        cells = [
            _cell(board, method.label, with_count=count is None, bold=method.label in leading)
            for board, count, leading in zip(boards, counts, best, strict=True)
        ]
        if any(cell != "--" for cell in cells):
            rows.append((method.is_control, " & ".join([label, *cells]) + r" \\"))
    controls, methods = ([row for is_control, row in rows if is_control is wanted] for wanted in (True, False))
    slug = re.sub(r"\W+", "-", f"{generator}-{family}-{number}")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_caption(generator, family, boards)}}}",
            rf"\label{{tab:{slug}}}",
            rf"\begin{{tabular}}{{l{'l' * len(boards)}}}",
            r"\toprule",
            " & ".join(["method", *heads]) + r" \\",
            r"\midrule",
            *controls,
            *([r"\midrule"] if controls and methods else []),
            *methods,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _caption(generator: str, family: str, boards: Sequence[Board]) -> str:
    failed = [board.metric for board in boards if board.failed]
    text = (
        f"{escaped(family[:1].upper() + family[1:])} on {escaped(generator)}: means over $n$ prompts with 95\\,\\% "
        "intervals where $n$ allows one. Methods that share a letter cannot be distinguished (paired sign-flip tests "
        "of all pairs, Holm-corrected, $p < .05$); the best mean is bold, controls are in italics."
    )
    return text + (f" Failed its controls: {escaped(', '.join(failed))}." if failed else "")


def _common_count(board: Board) -> int | None:
    """The number of prompts of all entries; None where they differ."""
    counts = {entry.prompts for entry in board.entries}
    return counts.pop() if len(counts) == 1 else None


def _head(board: Board, count: int | None) -> str:
    arrow = r"$\uparrow$" if board.higher_is_better else r"$\downarrow$"
    return f"{escaped(board.metric)} {arrow}" + (f" ($n={count}$)" if count is not None else "")


def _best(board: Board) -> set[str]:
    return {entry.method for entry in board.entries if entry.place is not None and entry.place.rank == 1}


def _cell(board: Board, method: str, *, with_count: bool, bold: bool) -> str:
    if board.failed:
        return "failed"
    entry = board.entry(method)
    if entry is None:
        return escaped(board.absent.get(method, "--"))
    mean, low, high = entry.interval
    figure = f"{mean:z.3f}"
    text = rf"\textbf{{{figure}}}" if bold else figure
    text += f" [{low:z.3f}, {high:z.3f}]" if low is not None and high is not None else ""
    text += f"$^{{{entry.place.groups}}}$" if entry.place is not None else ""
    return text + (f" ($n={entry.prompts}$)" if with_count else "")
