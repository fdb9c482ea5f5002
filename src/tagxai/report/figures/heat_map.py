"""Words by seconds above the clip's spectrogram, for one method or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tagxai.contract.attribution import Attribution
from tagxai.contract.values import Generation
from tagxai.lazy import Float, torch
from tagxai.report.figures.colours import Scale
from tagxai.report.figures.labels import label_words
from tagxai.report.figures.spectrogram import draw_spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


def heat_map(
    generation: Generation,
    values: Float[torch.Tensor, "units frames"],
    labels: Sequence[str],
    intervals: Sequence[tuple[float, float]] = (),
    *,
    is_mask: bool = False,
) -> Figure:
    """`values` as a panel of words by seconds, above the clip's spectrogram on the same time axis.

    Each of `intervals` [start, end), in seconds, is framed. A mask is drawn on the scale from 0 to 1.
    """
    from tagxai.report.figures.shown import ShownFigure

    words_height = max(0.9, 0.25 * len(labels))
    figure = ShownFigure(figsize=(9.0, words_height + 2.6), dpi=150, layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(60, 1), height_ratios=(words_height, 1.6))
    words = figure.add_subplot(grid[0, 0])
    sound = figure.add_subplot(grid[1, 0], sharex=words)
    image = _draw(words, generation, values, Scale.of(values, generation.frame_rate, is_mask=is_mask))
    figure.colorbar(image, cax=figure.add_subplot(grid[0, 1]), label="score")
    label_words(words, labels)
    draw_spectrogram(sound, generation)
    for axes in (words, sound):
        for interval in intervals:
            axes.axvspan(*interval, fill=False, edgecolor="white", lw=2.5, clip_on=False)
            axes.axvspan(*interval, fill=False, edgecolor="black", lw=1.2, ls="--", clip_on=False)
    return figure


def heat_maps(attributions: Mapping[str, Attribution], intervals: Sequence[tuple[float, float]] = ()) -> Figure:
    """A panel for each attribution of one clip by its name, each on its own method's scale."""
    from tagxai.report.figures.shown import ShownFigure

    first = next(iter(attributions.values()))
    generation, units = first.generation, first.words()
    height = max(0.9, 0.2 * len(units))
    figure = ShownFigure(figsize=(9.0, (height + 0.35) * len(attributions) + 1.9), dpi=150, layout="constrained")
    heights = (*[height] * len(attributions), 1.4)
    grid = figure.add_gridspec(len(attributions) + 1, 2, width_ratios=(60, 1), height_ratios=heights)
    sound = figure.add_subplot(grid[-1, 0])
    panels = [figure.add_subplot(grid[row, 0], sharex=sound) for row in range(len(attributions))]
    for row, (axes, (name, attribution)) in enumerate(zip(panels, attributions.items(), strict=True)):
        values = attribution.over_time(units)
        scale = Scale.of(values, generation.frame_rate, is_mask=attribution.is_mask)
        image = _draw(axes, generation, values, scale)
        figure.colorbar(image, cax=figure.add_subplot(grid[row, 1]))
        axes.set_title(name, loc="left", fontsize=9, parse_math=False)
        label_words(axes, [unit.text for unit in units])
    draw_spectrogram(sound, generation)
    for axes in (*panels, sound):
        for interval in intervals:
            axes.axvspan(*interval, fill=False, edgecolor="black", lw=1.2, ls="--", clip_on=False)
    return figure


def _draw(axes: Axes, generation: Generation, values: torch.Tensor, scale: Scale) -> AxesImage:
    return axes.imshow(
        values.detach().float().cpu().numpy(),
        aspect="auto",
        interpolation="nearest",
        cmap=scale.colour_map,
        vmin=scale.low,
        vmax=scale.full,
        extent=(0.0, generation.duration, len(values) - 0.5, -0.5),
    )
