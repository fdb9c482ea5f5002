"""Words by seconds above the clip's spectrogram, for one method or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float

from tagxai.contract.values import Generation
from tagxai.lazy import torch
from tagxai.report.figures.colours import Scale, full_colour
from tagxai.report.figures.labels import label_words
from tagxai.report.figures.spectrogram import draw_spectrogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heat_map(
    generation: Generation,
    values: Float[torch.Tensor, "units frames"],
    labels: Sequence[str],
    intervals: Sequence[tuple[float, float]] = (),
) -> Figure:
    """`values` as a panel of words by seconds, above the clip's spectrogram on the same time axis.

    Each of `intervals` [start, end), in seconds, is framed.
    """
    from matplotlib.figure import Figure

    scores = values.detach().float().cpu().numpy()
    scale = Scale.of(scores.ravel().tolist())
    words_height = max(0.9, 0.25 * len(labels))
    figure = Figure(figsize=(9.0, words_height + 2.6), dpi=150, layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(60, 1), height_ratios=(words_height, 1.6))
    words = figure.add_subplot(grid[0, 0])
    sound = figure.add_subplot(grid[1, 0], sharex=words)
    image = words.imshow(
        scores,
        aspect="auto",
        interpolation="nearest",
        cmap=scale.colour_map,
        vmin=scale.low,
        vmax=scale.high,
        extent=(0.0, generation.duration, len(labels) - 0.5, -0.5),
    )
    figure.colorbar(image, cax=figure.add_subplot(grid[0, 1]), label="score")
    label_words(words, labels)
    draw_spectrogram(sound, generation)
    for axes in (words, sound):
        for interval in intervals:
            axes.axvspan(*interval, fill=False, edgecolor="white", lw=2.5, clip_on=False)
            axes.axvspan(*interval, fill=False, edgecolor="black", lw=1.2, ls="--", clip_on=False)
    return figure


def heat_maps(
    generation: Generation,
    maps: Mapping[str, Float[torch.Tensor, "units frames"]],
    labels: Sequence[str],
    intervals: Sequence[tuple[float, float]] = (),
) -> Figure:
    """A panel for each of `maps` by its name, on one scale (see `full_colour`)."""
    from matplotlib.figure import Figure

    height = max(0.9, 0.2 * len(labels))
    figure = Figure(figsize=(9.0, (height + 0.35) * len(maps) + 1.9), dpi=150, layout="constrained")
    grid = figure.add_gridspec(len(maps) + 1, 2, width_ratios=(60, 1), height_ratios=(*[height] * len(maps), 1.4))
    sound = figure.add_subplot(grid[-1, 0])
    panels = [figure.add_subplot(grid[row, 0], sharex=sound) for row in range(len(maps))]
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        scores = values.detach().float().cpu()
        image = axes.imshow(
            (scores / full_colour(scores)).numpy(),
            aspect="auto",
            interpolation="nearest",
            cmap="RdBu_r",
            vmin=-1.0,
            vmax=1.0,
            extent=(0.0, generation.duration, len(labels) - 0.5, -0.5),
        )
        axes.set_title(name, loc="left", fontsize=9, parse_math=False)
        label_words(axes, labels)
    figure.colorbar(image, cax=figure.add_subplot(grid[:-1, 1]), label="share of full colour")
    draw_spectrogram(sound, generation)
    for axes in (*panels, sound):
        for interval in intervals:
            axes.axvspan(*interval, fill=False, edgecolor="black", lw=1.2, ls="--", clip_on=False)
    return figure
