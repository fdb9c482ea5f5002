"""When in denoising each word acts: words by noise levels, for each method that has scores for every level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tagxai.contract.attribution import Attribution
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Generation
from tagxai.scoring import by_stream
from tagxai.text import words


class LevelTable(NamedTuple):
    """One method's scores of the words at each level, in the mean over the clip, as text."""

    number: int
    method: str
    rows: Sequence[Sequence[str]]


def noise_levels(clip: Generation) -> list[float]:
    """The recorded levels of a clip that was denoised, from noise on; of other clips none."""
    if not isinstance(clip.timeline, LatentFrames) or "levels" not in clip.record:
        return []
    found: list[float] = clip.record["levels"].tolist()
    return found


def level_tables(clip: Generation, attributions: Mapping[str, Attribution]) -> list[LevelTable]:
    """A table for each method with scores for every one of several levels, numbered by its place among the methods."""
    levels = len(noise_levels(clip))
    if levels < 2:
        return []
    units = words.words(clip.prompt, clip.spans, clip.tokens)
    return [
        LevelTable(number, name, [[f"{score:.3f}" for score in row] for row in by_stream(each, units).T.tolist()])
        for number, (name, each) in enumerate(attributions.items())
        if len(each.scores) == levels
    ]
