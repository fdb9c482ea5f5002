"""Windows part the frames among them: each frame is in one window, and no window is a frame longer than another."""

import pytest

from tagxai.probing.windows import windows


@pytest.mark.parametrize("seconds", [0.04, 0.1, 0.15, 0.3, 0.4, 0.6, 5.0, None])
@pytest.mark.parametrize("interval", [(None, None), (0.2, 0.9), (0.0, 0.04)])
def test_every_frame_is_in_one_window_of_about_equal_length(seconds, interval, generation):
    frames = generation.frame_range(*interval)
    found = windows(generation, seconds, *interval)
    assert [frame for window in found for frame in window] == list(frames)
    lengths = [len(window) for window in found]
    assert max(lengths) - min(lengths) <= 1
    wanted = 1 if seconds is None else round(len(frames) / (seconds * generation.frame_rate))
    assert len(found) == min(max(1, wanted), len(frames))
