"""The dose-response benchmark: which words it turns, what it measures, and its intervals."""

from types import SimpleNamespace

import pytest
import torch
from dose_response import (
    FRAME_RATE,
    GAINS,
    SAMPLE_RATE,
    Answer,
    answers,
    by_loudness,
    cases,
    interval,
    level,
    steps,
    summary,
)


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


def answer(gain, heard=True, prompt="p", seed=0, loudness="none", others=None, level=None):
    return Answer(prompt, seed, gain, loudness, heard, gain / 2, others, -1.0, level, level)


def test_a_summary_has_every_gain_and_leaves_out_what_is_unknown():
    found = summary([answer(gain, gain > 0, level=10 * gain if gain else None) for gain in GAINS])
    assert list(found) == ["0", "0.5", "1", "2"]
    assert found["2"]["level (dB)"][0] == 20.0
    assert "level (dB)" not in found["0"]
    assert found["0"]["what is left in its seconds (dB)"][0] == -1.0
    assert "others heard" not in found["0"]


def test_a_step_compares_clips_of_one_prompt_and_seed():
    heard = {("a", 0): (0, 1, 1, 1), ("a", 1): (0, 0, 1, 0), ("b", 0): (0, 1, 1, 1)}
    rows = [
        answer(gain, bool(each), prompt, seed)
        for (prompt, seed), row in heard.items()
        for gain, each in zip(GAINS, row, strict=True)
    ]
    assert {name: mean for name, (mean, _, _) in steps(rows).items()} == pytest.approx(
        {"0 to 0.5": 2 / 3, "0.5 to 1": 1 / 3, "1 to 2": -1 / 3}
    )


def test_phrases_are_parted_by_what_they_ask_of_the_level():
    found = {case.loudness: case for case in cases(40, "test")}
    assert set(found) == {"none", "loud or near", "quiet or far"}
    assert any(word in found["quiet or far"].words for word in ("quiet", "soft", "distant", "far"))
    rows = [answer(2.0, level=1.0), answer(2.0, loudness="quiet or far", level=-2.0)]
    parted = by_loudness(rows)
    assert parted["none"]["level (dB)"][0] == 1.0
    assert parted["quiet or far"]["level (dB)"][0] == -2.0
    assert parted["loud or near"] == {}


class Ears:
    """A detector that hears its first event where a clip is loud, and its second everywhere."""

    events = ()

    def __call__(self, waves):
        loud = waves.unfold(1, SAMPLE_RATE // FRAME_RATE, SAMPLE_RATE // FRAME_RATE).square().mean(2).sqrt()
        return torch.stack([(loud > 0.05).float(), torch.ones_like(loud)], dim=2)

    def strength(self, waves):
        return self(waves).topk(3, dim=1).values.mean(1)


def test_a_level_is_only_that_of_an_event_that_is_heard_with_the_gain_and_without():
    case = next(each for each in cases(60, "test") if len(each.prompt.present) == 2)
    factors = {0.0: 0.0, 0.5: 0.7, 1.0: 1.0, 2.0: 2.0}
    samples = 75 * SAMPLE_RATE // FRAME_RATE
    clips = [SimpleNamespace(waveform=torch.full((1, samples), 0.1 * factors[gain])) for gain in GAINS]
    ears = Ears()
    ears.events = tuple(sorted(case.prompt.events, key=lambda event: event != case.edited.event))
    found = {each.gain: each for each in answers(case, 0, clips, ears)}
    assert [found[gain].heard for gain in GAINS] == [False, True, True, True]
    assert found[0.0].level is None
    assert found[0.0].left == pytest.approx(-60, abs=0.1)
    assert found[2.0].level == pytest.approx(found[2.0].level_heard) == pytest.approx(6.02, abs=0.01)
    assert found[0.5].others_heard == 1.0
    clips[2] = clips[0]  # a plain clip without the event
    silent = {each.gain: each for each in answers(case, 0, clips, ears)}
    assert not silent[1.0].heard
    assert silent[2.0].heard
    assert silent[2.0].level is None
