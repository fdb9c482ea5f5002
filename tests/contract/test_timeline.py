"""A delay pattern by its definition, code by code: that of codebook q at frame f is predicted at f + delays[q]."""

import pytest
import torch

from tagxai.contract.timeline import DelayPattern

PATTERNS = [
    DelayPattern(7, 25.0, (0,)),
    DelayPattern(9, 25.0, (0, 1, 2, 3)),
    DelayPattern(8, 50.0, (0, 0, 1, 1)),
]
each_pattern = pytest.mark.parametrize("pattern", PATTERNS, ids=str)


def outcomes(pattern):
    return [(q, f, f + delay) for q, delay in enumerate(pattern.delays) for f in range(pattern.frames)]


@each_pattern
def test_a_code_is_read_at_the_position_that_predicts_it(pattern):
    states = torch.randn(pattern.positions, 2, generator=torch.Generator().manual_seed(0))
    frames = pattern.to_frames(states)
    assert all(torch.equal(frames[q, f], states[position]) for q, f, position in outcomes(pattern))


@each_pattern
def test_a_position_has_the_mean_of_the_codes_that_it_predicts(pattern):
    scores = torch.randn(pattern.streams, pattern.frames, 2, generator=torch.Generator().manual_seed(0))
    for position, found in enumerate(pattern.to_positions(scores)):
        predicted = [scores[q, f] for q, f, at in outcomes(pattern) if at == position]
        torch.testing.assert_close(found, torch.stack(predicted).mean(0))


@each_pattern
def test_frames_are_predicted_by_these_positions_and_no_others(pattern):
    for start in range(pattern.frames):
        for stop in range(start + 1, pattern.frames + 1):
            expected = {position for _, f, position in outcomes(pattern) if start <= f < stop}
            found = range(pattern.positions)[pattern.predicting(range(start, stop))]
            assert set(found) == expected


@each_pattern
def test_a_shorter_clip_has_every_code_that_is_read_before_a_frame(pattern):
    """Position t reads the columns up to t, and column t has the code of codebook q at frame t - 1 - delays[q]."""
    for frame in range(1, pattern.frames + 1):
        last = max(position for _, f, position in outcomes(pattern) if f < frame)
        read = max(f for _, f, position in outcomes(pattern) if position + 1 <= max(1, last))
        kept = pattern.until(frame)
        assert kept.frames >= min(pattern.frames, max(frame, read + 1))
        assert kept.frames <= min(pattern.frames, frame + max(pattern.delays))
