"""A clip's frames in consecutive windows of time, each of which is one target."""

from __future__ import annotations

from itertools import pairwise

from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError


def windows(
    generation: Generation, seconds: float | None, start: float | None = None, end: float | None = None
) -> list[range]:
    """The frames of [start, end) seconds (the whole clip) in windows of about `seconds` and equal length.

    None takes all of it as one window. Lengths differ by one frame at most. Raises TagxaiError.
    """
    if seconds is not None and not seconds > 0:
        raise TagxaiError(f"option 'resolution' must be a number of seconds above 0, or none; not {seconds:g}")
    frames = generation.frame_range(start, end)
    count = 1 if seconds is None else round(len(frames) / (seconds * generation.frame_rate))
    count = min(max(1, count), len(frames))
    edges = [frames.start + len(frames) * i // count for i in range(count + 1)]
    return [range(first, last) for first, last in pairwise(edges)]
