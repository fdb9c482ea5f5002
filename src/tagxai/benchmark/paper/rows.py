"""Leaderboards and pairs of methods as rows of plain values, for CSV, Parquet and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tagxai.benchmark.leaderboard import Board, absent_prompts
from tagxai.benchmark.results import Results


def board_rows(results: Results) -> Iterator[dict[str, Any]]:
    """A row for each generator, metric and method that was asked for, with a value or without one."""
    boards = {(board.generator, board.metric): board for board in results.boards}
    asked = dict.fromkeys((cell.generator, cell.metric, cell.method) for cell in results.cells)
    absent = {
        pair: absent_prompts([cell for cell in results.cells if (cell.generator, cell.metric) == pair])
        for pair in dict.fromkeys(key[:2] for key in asked)
    }
    order = {method.label: number for number, method in enumerate(results.methods)}
    for generator, metric, method in sorted(asked, key=lambda key: (*_place(results, *key[:2]), order[key[2]])):
        without = absent[generator, metric][method]
        row = {"generator": generator, "metric": metric, "method": method, "control": method in results.controls}
        row |= _figures(boards.get((generator, metric)), method)
        row |= {name.replace(" ", "_"): without.get(name, 0) for name in ("failed", "missing", "not applicable")}
        yield row


def _place(results: Results, generator: str, metric: str) -> tuple[int, int]:
    generators = list(dict.fromkeys(cell.generator for cell in results.cells))
    return generators.index(generator), [each.label for each in results.metrics].index(metric)


def _figures(board: Board | None, method: str) -> dict[str, Any]:
    entry = board.entry(method) if board is not None else None
    found = entry.difference if entry is not None else None
    mean, low, high = entry.interval if entry is not None else (None, None, None)
    return {
        "mean": mean,
        "low": low,
        "high": high,
        "n": entry.prompts if entry is not None else 0,
        "rank": entry.place.rank if entry is not None and entry.place else None,
        "groups": entry.place.groups if entry is not None and entry.place else None,
        "reference": board.reference if found is not None and board is not None else None,
        "difference": found.interval.mean if found is not None else None,
        "p": found.p if found is not None else None,
        "p_holm": found.holm if found is not None else None,
        "cliffs_delta": found.delta if found is not None else None,
        "metric_failed": board.failed if board is not None else None,
    }


def pair_rows(results: Results) -> Iterator[dict[str, Any]]:
    """A row for each pair of methods on each board."""
    for board in results.boards:
        for pair in board.pairs:
            difference, low, high = pair.interval
            yield {
                "generator": board.generator,
                "metric": board.metric,
                "method": pair.method,
                "other": pair.other,
                "difference": difference,
                "low": low,
                "high": high,
                "n": pair.prompts,
                "p": pair.p,
                "p_holm": pair.holm,
                "cliffs_delta": pair.delta,
            }
