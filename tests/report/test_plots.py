"""Pictures: any prompt can be drawn, without warnings and without pyplot."""

import io
import re
import sys
import warnings
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from tagxai.cli.display import score_table
from tagxai.report.figures.bands import bands
from tagxai.report.figures.colours import PALETTE, Scale
from tagxai.report.figures.heat_map import heat_map
from tagxai.report.figures.spectrogram import spectrogram
from tagxai.text.printable import printable


def draw(generation, labels, intervals=()):
    """The figure, drawn in full: most of matplotlib's complaints come only then."""
    figure = heat_map(generation, torch.rand(len(labels), generation.frames), labels, intervals)
    figure.canvas.draw()
    return figure


def word_labels(figure):
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def test_words_stand_above_the_spectrogram_on_one_time_axis(generation):
    words, sound, _ = draw(generation, ["dog", "barks", "</s>"], [(0.2, 0.5)]).axes
    assert words.get_xlim() == sound.get_xlim() == (0.0, generation.duration)
    assert words.get_position().y0 > sound.get_position().y0
    assert words.get_position().x0 == pytest.approx(sound.get_position().x0)


def test_curves_lie_in_bands_of_one_deviation_each_in_the_row_of_its_word(generation):
    values, spread = torch.rand(3, generation.frames) - 0.5, torch.rand(3, generation.frames)
    figure = bands(generation, values, spread, ["dog", "barks", "</s>"])
    figure.canvas.draw()
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["dog", "barks", "</s>"]
    curves = [line.get_ydata() for line in axes.get_lines() if len(line.get_ydata()) == generation.frames]
    per_score = (curves[0][0] - curves[0][1]) / (values[0, 1] - values[0, 0])  # the axis points down
    for row, (curve, band) in enumerate(zip(curves, axes.collections, strict=True)):
        heights = torch.from_numpy(band.get_paths()[0].vertices[:, 1])
        assert row - 0.5 < heights.min() < heights.max() < row + 0.5
        reach = torch.from_numpy(band.get_paths()[0].vertices[1 : 1 + generation.frames, 1] - curve)
        torch.testing.assert_close(reach.abs().float(), spread[row] * per_score.abs().float(), atol=1e-4, rtol=1e-4)


def test_words_keep_the_order_of_the_prompt_and_special_tokens_are_grey(generation):
    figure = draw(generation, ["dog", "barks", "</s>"])
    assert word_labels(figure) == ["dog", "barks", "</s>"]
    assert figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]  # the first word is at the top
    colours = [text.get_color() for text in figure.axes[0].get_yticklabels()]
    assert colours[2] != colours[0] == colours[1]


def test_any_script_is_drawn_without_a_warning(generation):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(generation, ["пёс", "الكلب", "$5", "a_b^$", "𒀀", "tab\there", "x" * 50])
    labels = word_labels(figure)
    assert labels[:4] == ["пёс", "الكلب", "$5", "a_b^$"]
    assert labels[4] in ("word 5", "𒀀")  # few machines have a font for cuneiform
    assert labels[5] == "tab\\x09here"
    assert len(labels[6]) == 24


@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_word_has_room(generation, count):
    figure = draw(generation, ["word"] * count)
    panel = figure.axes[0].get_window_extent().height / figure.dpi  # inches
    assert panel / count > 0.15


def test_pyplot_keeps_nothing(explanation):
    explanation.plot()
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_silence_and_very_short_clips_have_a_spectrogram(generation):
    silent = replace(generation, waveform=torch.zeros_like(generation.waveform))
    assert spectrogram(silent).max() < 0.3
    short = replace(generation, timeline=replace(generation.timeline, frames=1), waveform=generation.waveform[:, :640])
    assert spectrogram(short).shape[0] == 128


def test_a_tone_is_where_its_frequency_is(generation):
    seconds = torch.arange(generation.waveform.shape[1]) / generation.sample_rate
    tone = replace(generation, waveform=torch.sin(2 * torch.pi * 1000 * seconds)[None])
    loudest = spectrogram(tone, bands=100)[:, 20].argmax()
    assert 50 * (8000 / 50) ** (loudest / 99) == pytest.approx(1000, rel=0.06)


def colour_at(scale, score):
    return tuple(round(255 * part) for part in scale.colour_map((score - scale.low) / (scale.full - scale.low))[:3])


def test_full_colour_is_the_strongest_half_second_and_one_for_a_mask():
    values = torch.zeros(2, 100)
    values[0, 10:20], values[1, 50] = 0.4, -3.0
    scale = Scale.of(values, 20.0, is_mask=False)  # ten frames are half a second
    assert scale.full == pytest.approx(0.4)
    assert scale.signed
    mask = Scale.of(values.abs() / 100, 20.0, is_mask=True)
    assert mask == (1.0, False)


def test_pictures_and_pages_have_one_set_of_colours():
    stops = PALETTE["light"]
    signed, mask = Scale(2.0, True), Scale(1.0, False)
    assert colour_at(signed, 2.0) == colour_at(mask, 1.0) == stops["hot"][-1]
    assert colour_at(signed, -2.0) == stops["cold"][-1]
    for nothing in (colour_at(signed, 0.0), colour_at(mask, 0.0)):
        assert min(nothing) >= 253  # the ground
    for theme, sign in (("light", -1), ("dark", 1)):
        for colours in PALETTE[theme].values():
            lightness = [0.21 * r + 0.72 * g + 0.07 * b for r, g, b in colours]
            assert sorted(lightness, key=lambda value: sign * value) == lightness


def test_figures_show_themselves_in_a_notebook(explanation):
    assert explanation.plot()._repr_png_()[:4] == b"\x89PNG"


def test_control_characters_are_written_out():
    assert printable("a\x1b[31m") == "a\\x1b[31m"


def test_a_weak_mask_has_short_bars_in_the_terminal_too(explanation):
    console = Console(width=120, record=True, file=io.StringIO(), force_terminal=False)
    weak = replace(explanation, scores=torch.full_like(explanation.scores, 0.027), is_mask=True, merge="mean")
    for found, longest in ((weak, 1), (replace(weak, is_mask=False), 16)):
        console.print(score_table(found, found.words(), [], console))
        text = console.export_text()
        assert "0.027" in text
        assert max(len(bar) for bar in re.findall("[#█▏▎▍▌▋▊▉]+", text)) == longest
