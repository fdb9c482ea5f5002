"""Sounds have the stated rate, level and grid; clips put events where they say."""

import numpy as np
import pytest

from tagxai.tiny import CLIP_FRAMES, HOP
from tagxai.tiny.clips import render
from tagxai.tiny.sounds import EVENTS, LEVELS, synthesise, tones


@pytest.mark.parametrize("event", EVENTS)
def test_a_sound_has_the_stated_length_and_level(event):
    wave = synthesise(event, 75, np.random.default_rng(0)).mix
    loudest = np.sqrt((wave.reshape(75, HOP) ** 2).mean(1).max())
    assert wave.shape == (75 * HOP,)
    assert abs(20 * np.log10(loudest / LEVELS[event])) <= 2.5 + 1e-6


@pytest.mark.parametrize("event", EVENTS)
def test_a_sound_varies_with_the_seed_and_repeats_with_it(event):
    first, again, other = (synthesise(event, 40, np.random.default_rng(seed)).mix for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_steady_tone_on_the_grid_is_the_same_in_every_frame():
    frames = tones(np.full(5, 425.0), [1.0, 0.5]).reshape(5, HOP)
    assert np.allclose(frames, frames[0])


def test_a_followed_clip_has_its_events_in_their_own_halves():
    clip = render("followed", ("dog", "rain"), np.random.default_rng(0))
    boundary = round(clip.intervals[0][1] * 25)
    assert not clip.audible[0, boundary:].any()
    assert not clip.audible[1, :boundary].any()
    assert clip.audible.any(axis=1).all()


def test_a_clip_is_three_seconds_and_never_clips():
    for seed in range(20):
        clip = render("while", ("thunder", "engine"), np.random.default_rng(seed))
        assert clip.waveform.shape == (CLIP_FRAMES * HOP,)
        assert np.abs(clip.sound.mix).max() <= 0.951
