"""Sounds have the stated level, grid and attributes; clips put events where they say."""

import numpy as np
import pytest

from tagxai.laboratory import CLIP_FRAMES, HOP
from tagxai.laboratory.judging.meters import METERS, calibrate, value_of
from tagxai.laboratory.sounds.clips import FORMS, SLOTS, render
from tagxai.laboratory.sounds.styles import VALUES, Style
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES, EVENTS, LEVELS, synthesise
from tagxai.laboratory.sounds.waves import tones


def test_there_are_twenty_events_with_attributes_each():
    assert len(EVENTS) == 20
    assert set(ATTRIBUTES) == set(LEVELS) == set(EVENTS)
    assert set(METERS) == set(VALUES)


@pytest.mark.parametrize("event", EVENTS)
def test_a_sound_has_the_stated_length_and_level(event):
    wave = synthesise(event, 75, np.random.default_rng(0)).mix
    loudest = np.sqrt((wave.reshape(75, HOP) ** 2).mean(1).max())
    assert wave.shape == (75 * HOP,)
    assert abs(20 * np.log10(loudest / LEVELS[event])) <= 1 + 1e-6


@pytest.mark.parametrize("event", EVENTS)
def test_a_sound_varies_with_the_seed_and_repeats_with_it(event):
    first, again, other = (synthesise(event, 40, np.random.default_rng(seed)).mix for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.fixture(scope="module")
def boundaries():
    return calibrate(lambda waves: waves, sounds=5, lengths=(37,))


@pytest.mark.parametrize("event", EVENTS)
def test_attributes_really_change_the_sound_so_that_a_meter_tells_them(event, boundaries):
    rng, right = np.random.default_rng(1), []
    for kind in ATTRIBUTES[event]:
        for value in VALUES[kind]:
            for _ in range(3):
                wave = synthesise(event, 37, rng, Style(**{kind: value})).mix
                right.append(value_of(event, kind, wave, boundaries) == value)
    assert np.mean(right) >= 0.9


def test_a_steady_tone_on_the_grid_is_the_same_in_every_frame():
    frames = tones(np.full(5, 425.0), [1.0, 0.5]).reshape(5, HOP)
    assert np.allclose(frames, frames[0])


@pytest.mark.parametrize("form", FORMS)
def test_events_are_audible_in_their_own_slots_and_nowhere_else(form):
    events = ("dog", "rain", "alarm")[: len(SLOTS[form])]
    clip = render(form, events, np.random.default_rng(0))
    for audible, (start, end) in zip(clip.audible, clip.intervals, strict=True):
        frames = np.arange(CLIP_FRAMES)
        inside = (frames >= round(start * 25)) & (frames < round(end * 25))
        assert audible.any()
        assert not (audible & ~inside).any()


def test_a_clip_is_three_seconds_and_never_clips():
    for seed in range(20):
        styles = (Style(level="loud"), Style(level="loud"))
        clip = render("while", ("thunder", "engine"), np.random.default_rng(seed), styles)
        assert clip.waveform.shape == (CLIP_FRAMES * HOP,)
        assert np.abs(clip.sound.mix).max() <= 0.981
