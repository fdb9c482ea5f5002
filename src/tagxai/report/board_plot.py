"""A picture of a leaderboard: a panel for each metric, a line for each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tagxai.benchmark.leaderboard import Board
from tagxai.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4

_GROUND, _INK = "#211f1d", "#ece8e1"  # the page's card and text in dark mode
_DARK: dict[Any, Any] = {
    "figure.facecolor": _GROUND,
    "savefig.facecolor": _GROUND,
    "axes.facecolor": _GROUND,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "text.color"), _INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "grid.color"), _INK),
}


def plot_boards(boards: Sequence[Board], *, dark: bool = False) -> Figure:
    """Means with their intervals, best at the right; controls are grey, the dotted line is the control `random`.

    Methods have the same place in all panels: the order of the first board whose controls are in order.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_DARK if dark else {}):
        return _plot(Figure, boards)


def _plot(figure_class: type[Figure], boards: Sequence[Board]) -> Figure:
    methods = _order(boards)
    rows = -(-len(boards) // COLUMNS)
    size = (3.1 * min(COLUMNS, len(boards)) + 1.2, rows * (0.19 * len(methods) + 0.9))
    figure = figure_class(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots(rows, min(COLUMNS, len(boards)), squeeze=False, sharey=True)
    for panel in axes.flat[len(boards) :]:
        panel.set_axis_off()
    for panel, board in zip(axes.flat, boards, strict=False):
        _panel(panel, board, methods)
    return figure


def _order(boards: Sequence[Board]) -> list[str]:
    """Best first; methods that the first board lacks come last, in the order of the plan."""
    first = next((board for board in boards if not board.failed), None)
    sign = 1 if first is None or first.higher_is_better else -1
    ranked = sorted(first.entries if first else (), key=lambda entry: -sign * entry.interval.mean)
    names = [entry.method for entry in ranked]
    return list(dict.fromkeys([*names, *(entry.method for board in boards for entry in board.entries)]))


def _panel(panel: Axes, board: Board, methods: Sequence[str]) -> None:
    panel.set_title(printable(board.title), fontsize=9, parse_math=False)
    panel.set_yticks(range(len(methods)), [printable(name) for name in methods], fontsize=7, parse_math=False)
    panel.set_ylim(max(1, len(methods)) - 0.5, -0.5)
    panel.tick_params(axis="x", labelsize=7)
    panel.grid(axis="y", linewidth=0.3, alpha=0.5)
    if board.failed:
        panel.text(0.5, 0.5, "FAILED", transform=panel.transAxes, ha="center", va="center", color="#dd3333")
        panel.set_xticks([])
        return
    for entry in board.entries:
        place, (mean, low, high) = methods.index(entry.method), entry.interval
        colour = "#999999" if entry.is_control else "#e67e22"
        if low is not None and high is not None:
            panel.plot([low, high], [place, place], color=colour, linewidth=1.4)
        panel.plot([mean], [place], marker="o", markersize=3.5, color=colour)
    chance = board.entry("random")
    if chance is not None:
        panel.axvline(chance.interval.mean, color="#999999", linewidth=0.8, linestyle=":")
    if not board.higher_is_better:
        panel.invert_xaxis()
