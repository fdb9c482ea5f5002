"""Each word's score over time, in a band of its standard deviation over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tagxai.contract.values import Generation
from tagxai.lazy import Float, torch
from tagxai.report.figures.labels import label_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def bands(
    generation: Generation,
    values: Float[torch.Tensor, "units frames"],
    deviation: Float[torch.Tensor, "units frames"],
    labels: Sequence[str],
) -> Figure:
    """`values` as a curve for each word, in a band of one `deviation` to either side; all on one scale."""
    from tagxai.report.figures.shown import ShownFigure

    scores, spread = (tensor.detach().float().cpu() for tensor in (values, deviation))
    low, high = min((scores - spread).min().item(), 0.0), (scores + spread).max().item()
    height = 0.8 / max(high - low, 1e-9)  # rows are 1 apart
    seconds = (torch.arange(values.shape[1]) + 0.5) / generation.frame_rate
    figure = ShownFigure(figsize=(9.0, 0.45 * len(labels) + 0.7), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for row in range(len(labels)):
        curve, reach = row + 0.4 - (scores[row] - low) * height, spread[row] * height
        axes.axhline(row + 0.4 + low * height, color="0.8", lw=0.6)  # zero
        axes.fill_between(seconds, curve - reach, curve + reach, color="C0", alpha=0.3, lw=0)
        axes.plot(seconds, curve, color="C0", lw=1)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, generation.duration)
    label_words(axes, labels)
    axes.tick_params(axis="x", labelbottom=True)
    axes.set_xlabel("seconds")
    return figure
