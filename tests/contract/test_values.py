"""Values, delays and intervals."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagxai.contract.timeline import apply_delay, undo_delay
from tagxai.errors import TagxaiError


def test_each_code_reads_its_own_step():
    steps = torch.arange(6.0)[:, None]  # 4 frames, delays 0, 1, 2
    undone = undo_delay(steps, (0, 1, 2), 4)
    for q in range(3):
        for frame in range(4):
            assert undone[q, frame, 0] == frame + q


def test_applying_the_delay_undoes_undoing_it():
    steps = torch.rand(9, 5)
    torch.testing.assert_close(apply_delay(undo_delay(steps, (0, 1, 2, 3), 6), (0, 1, 2, 3)), steps)


def test_a_step_gets_the_mean_over_the_codes_that_it_predicts():
    scores = torch.tensor([[[1.0], [2.0]], [[10.0], [20.0]]])  # 2 codebooks, 2 frames
    assert apply_delay(scores, (0, 1))[:, 0].tolist() == [1.0, 6.0, 20.0]
    assert apply_delay(scores[:1], (0, 1))[:, 0].tolist() == [1.0, 1.5, 2.0]  # one row stands for both


def test_a_mask_in_steps_survives_being_an_attribution(generation):
    from tagxai import Attribution

    mask = torch.rand(generation.steps, len(generation.tokens))
    scores = undo_delay(mask, generation.delays, generation.frames)
    torch.testing.assert_close(Attribution(generation, scores, "test", is_mask=True).to_mask(), mask)


def test_an_interval_holds_the_frames_whose_centre_is_inside(generation):
    assert generation.frame_range() == range(generation.frames)
    assert generation.frame_range(0.2, 0.4) == range(5, 10)
    assert generation.frame_range(0.21, 0.41) == range(5, 10)
    assert generation.frame_range(end=0.04) == range(1)


@pytest.mark.parametrize("interval", [(0.5, 0.5), (0.7, 0.2), (-1.0, 0.5), (0.5, 9.0), (float("nan"), 1.0)])
def test_an_interval_outside_the_clip_is_one_sentence(generation, interval):
    with pytest.raises(TagxaiError, match="does not fit the clip: expected 0 <= start < end <= 1 s"):
        generation.frame_range(*interval)


def test_an_interval_between_frame_centres_is_one_sentence(generation):
    with pytest.raises(TagxaiError, match="holds no frame's centre"):
        generation.frame_range(0.001, 0.002)


def test_a_generation_checks_itself(generation):
    with pytest.raises(ValueError, match="token spans"):
        replace(generation, token_spans=generation.token_spans[:-1])
    with pytest.raises(ValueError, match="codebook delays"):
        replace(generation, delays=(0, 1))


def test_shapes_are_checked_while_the_tests_run():
    from tagxai.metrics.mask_size import mask_size

    with pytest.raises(Exception, match=r"(?i)type"):
        mask_size(torch.ones(3))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.floats(0, 1))
def test_an_interval_holds_exactly_the_frames_whose_centre_it_holds(generation, start, end):
    start, end = start * generation.duration, end * generation.duration
    centres = [(frame + 0.5) / generation.frame_rate for frame in range(generation.frames)]
    inside = [frame for frame, centre in enumerate(centres) if start <= centre < end]
    if not inside:
        with pytest.raises(TagxaiError, match=r"does not fit the clip|holds no frame's centre"):
            generation.frame_range(start, end)
        return
    assert list(generation.frame_range(start, end)) == inside


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.05, 0.95))
def test_two_intervals_that_meet_share_the_clip_between_them(generation, share):
    middle = share * generation.duration
    before, after = generation.frame_range(0.0, middle), generation.frame_range(middle)
    assert [*before, *after] == list(range(generation.frames))
