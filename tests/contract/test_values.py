"""Values, delays and intervals."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagxai.contract.timeline import DelayPattern, LatentFrames, Timeline
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError


def test_a_mask_is_asked_once_whether_it_hides_something(monkeypatch):
    whole, padded = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[True, True, False]])
    states = torch.zeros(1, 3, 2)
    rows = [
        Conditioning(states, whole, (("a", "b", "c"),), (((0, 1), (1, 2), (2, 3)),)),
        Conditioning(states, padded, (("a", "b"),), (((0, 1), (1, 2)),)),
    ]
    assert rows[0].padding is None
    assert rows[1].padding is padded
    monkeypatch.setattr(torch.Tensor, "all", None)
    for row, is_padded in zip(rows, (False, True), strict=True):
        several = row.expand(4)
        assert (several.padding is several.mask) == is_padded
        assert (replace(row, embeddings=row.embeddings + 1).padding is not None) == is_padded


def test_each_code_reads_its_own_step():
    steps = torch.arange(6.0)[:, None]  # 4 frames, delays 0, 1, 2
    undone = DelayPattern(4, 25.0, (0, 1, 2)).to_frames(steps)
    for q in range(3):
        for frame in range(4):
            assert undone[q, frame, 0] == frame + q


def test_applying_the_delay_undoes_undoing_it():
    steps = torch.rand(9, 5)
    timeline = DelayPattern(6, 25.0, (0, 1, 2, 3))
    torch.testing.assert_close(timeline.to_positions(timeline.to_frames(steps)), steps)


def test_a_step_gets_the_mean_over_the_codes_that_it_predicts():
    scores = torch.tensor([[[1.0], [2.0]], [[10.0], [20.0]]])  # 2 codebooks, 2 frames
    timeline = DelayPattern(2, 25.0, (0, 1))
    assert timeline.to_positions(scores)[:, 0].tolist() == [1.0, 6.0, 20.0]
    assert timeline.to_positions(scores[:1])[:, 0].tolist() == [1.0, 1.5, 2.0]  # one row stands for both


def test_a_mask_in_steps_survives_being_an_attribution(generation):
    from tagxai import Attribution

    mask = torch.rand(generation.positions, len(generation.tokens))
    scores = generation.timeline.to_frames(mask)
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
        replace(generation, spans=generation.spans[:-1])


@pytest.mark.parametrize("timeline", [DelayPattern(9, 25.0, (0, 1, 3)), LatentFrames(9, 21.5, 4)])
def test_a_timeline_survives_json(timeline):
    assert Timeline.from_json(timeline.to_json()) == timeline


def test_only_a_causal_timeline_is_cut_short():
    causal, both_ways = DelayPattern(9, 25.0, (0, 1, 3)), LatentFrames(9, 21.5, 4)
    assert causal.until(4) == DelayPattern(7, 25.0, (0, 1, 3))  # three more frames are read before frame 3 is predicted
    assert causal.until(8) == causal
    assert both_ways.until(4) is both_ways


def test_latent_frames_are_their_own_positions():
    timeline = LatentFrames(3, 21.5, 2)
    states = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(timeline.to_frames(states), torch.stack([states, states]))
    scores = torch.tensor([[[1.0], [2.0], [3.0]], [[3.0], [4.0], [5.0]]])
    assert timeline.to_positions(scores)[:, 0].tolist() == [2.0, 3.0, 4.0]
    assert timeline.predicting(range(1, 2)) == slice(1, 2)


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
