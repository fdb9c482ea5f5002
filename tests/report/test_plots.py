"""Pictures: any prompt can be drawn, without warnings and without pyplot."""

import sys
import warnings
from dataclasses import replace

import pytest
import torch

from tagxai.report.figures.bands import bands
from tagxai.report.figures.colours import Scale, words_html
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


def test_scores_of_both_signs_are_coloured_about_zero():
    scale = Scale.of([-0.5, 0.2])
    assert scale.signed
    assert scale.strength(0) == 0
    assert scale.strength(-0.5) == -1
    assert Scale.of([0.1, 0.4]).strength(0.1) == 0


def test_equal_scores_have_equal_middling_colours():
    assert Scale.of([0.4, 0.4]).strength(0.4) == 0.5
    assert Scale.of([0.0, 0.0]).strength(0.0) == 0.0


def test_words_in_html_are_escaped_and_carry_their_scores(explanation):
    hostile = [explanation.per_word()[0]._replace(text="<b>&", score=0.25), explanation.per_word()[1]]
    html = words_html(hostile)
    assert "&lt;b&gt;&amp;" in html
    assert 'title="0.25"' in html
    assert "<b>" not in html


def test_control_characters_are_written_out():
    assert printable("a\x1b[31m") == "a\\x1b[31m"
