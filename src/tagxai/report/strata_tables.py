"""A benchmark's metrics for each value of a column of the prompts' file, such as `category`."""

from __future__ import annotations

from collections.abc import Iterator

from tagxai.benchmark.leaderboard import Board, absent_prompts
from tagxai.benchmark.results import Results
from tagxai.report.benchmark_tables import Table, cell_text, named

WITHOUT = "(none)"
"""What prompts without a value in the column are listed under."""


def strata_tables(results: Results, column: str) -> Iterator[Table]:
    """A table for each generator and metric: a row for each method, a column for each value, over its prompts alone."""
    values = results.columns[column]
    strata = {
        value or WITHOUT: results.of_prompts({prompt for prompt, own in values.items() if own == value})
        for value in dict.fromkeys(values.values())
    }
    for board in results.boards:
        parts = {value: _same(board, part) for value, part in strata.items()}
        rows = [
            [
                named(method.label, method.is_control),
                *(
                    cell_text(part, method.label) if part else _without_values(strata[value], board, method.label)
                    for value, part in parts.items()
                ),
            ]
            for method in results.methods
            if board.entry(method.label) is not None
        ]
        text = "Means over the n prompts of each value, with 95 % intervals where so few prompts allow one."
        yield Table(f"{board.title} on {board.generator} by {column}", text, ["method", *parts], rows)


def _same(board: Board, part: Results) -> Board | None:
    """The board of the same generator and metric over other prompts."""
    return next(
        (each for each in part.boards if (each.generator, each.metric) == (board.generator, board.metric)), None
    )


def _without_values(part: Results, board: Board, method: str) -> str:
    """What became of a method where no method has a value by the board's metric."""
    cells = [cell for cell in part.cells if (cell.generator, cell.metric) == (board.generator, board.metric)]
    return next(iter(absent_prompts(cells).get(method, {})), "–")
