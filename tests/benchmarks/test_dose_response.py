"""The dose-response benchmark: which words it turns, what it measures, and its intervals."""

import pytest
import torch
from dose_response import FRAME_RATE, GAINS, SAMPLE_RATE, Answer, cases, interval, level, summary


def test_the_words_of_one_sound_are_turned_whole_and_its_prompts_are_held_out():
    found = list(cases(12, "test"))
    assert len({case.prompt.text for case in found}) == 12
    for case in found:
        assert len(case.prompt.present) > 1
        assert case.words in case.prompt.text
        others = [mention for mention in case.prompt.present if mention is not case.edited]
        start = case.prompt.text.index(case.words)
        assert all(not start <= other.start_char < start + len(case.words) for other in others)


def test_a_level_is_measured_where_the_event_is():
    samples = round(SAMPLE_RATE / FRAME_RATE)
    plain = torch.full((10 * samples,), 0.1)
    edited = plain.clone()
    edited[2 * samples : 4 * samples] *= 2
    where = torch.zeros(10, dtype=torch.bool)
    where[2:4] = True
    assert level(edited, where) - level(plain, where) == pytest.approx(6.02, abs=0.01)
    assert level(edited, ~where) == pytest.approx(level(plain, ~where)) == pytest.approx(-20.0, abs=1e-3)
    assert level(edited, torch.zeros(10, dtype=torch.bool)) == -80.0


def test_intervals_draw_prompts_and_keep_their_seeds_together():
    assert interval({"a": [1.0, 1.0], "b": [1.0]}) == (1.0, 1.0, 1.0)
    mean, low, high = interval({str(i): [float(i % 2)] * 5 for i in range(40)})
    assert mean == 0.5
    apart = 1.96 * (0.25 / 40) ** 0.5  # of 40 prompts, not of 200 clips
    assert (low, high) == pytest.approx((0.5 - apart, 0.5 + apart), abs=0.04)


def test_a_summary_has_every_gain_and_leaves_out_what_is_unknown():
    rows = [Answer("p", 0, gain, gain > 0, gain / 2, None, 10 * gain, None) for gain in GAINS]
    found = summary(rows)
    assert list(found) == ["0", "0.5", "1", "2"]
    assert found["2"]["level (dB)"][0] == 20.0
    assert "others heard" not in found["0"]
