"""The words' scores that a saved explanation's JSON holds: all that its table shows, read without loading a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.contract import saved_folder
from tagxai.contract.attribution import Score
from tagxai.errors import DamagedFileError
from tagxai.explaining.explanation import Interval
from tagxai.text.words import Unit


@dataclass(frozen=True)
class KeptScores:
    """The words of a clip, and their scores in the whole of it and in the intervals that were asked for."""

    prompt: str
    method: str
    generator: str
    duration: float
    seed: int
    is_mask: bool
    whole: tuple[Score, ...]
    intervals: dict[Interval, tuple[Score, ...]]

    @property
    def words(self) -> tuple[Unit, ...]:
        return tuple(score.unit for score in self.whole)


def kept_scores(folder: Path, intervals: Sequence[Interval]) -> KeptScores | None:
    """What an explanation in `folder` keeps. None for a comparison, for one of an earlier version of tagxai, and where
    one of the `intervals` is not kept. Raises DamagedFileError.
    """
    with storage.reading(folder):
        if (folder / saved_folder.COMPARISON).is_file():
            return None
        content = saved_folder.verified(folder)
    if content["schema_version"] != saved_folder.VERSION:
        return None
    try:
        clip = content["generation"]
        kept = KeptScores(
            clip["prompt"],
            content["method"],
            clip["generator"],
            clip["duration"],
            clip["seed"],
            content["is_mask"],
            _scores(content["words"]),
            {(each["start"], each["end"]): _scores(each["words"]) for each in content["intervals"]},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedFileError(f"{folder / saved_folder.EXPLANATION} is damaged: {error}") from None
    return kept if all(interval in kept.intervals for interval in intervals) else None


def _scores(words: Sequence[dict[str, Any]]) -> tuple[Score, ...]:
    found = []
    for word in words:
        score = float(word.pop("score"))
        unit = Unit(**{**word, "tokens": tuple(word["tokens"])})
        found.append(Score(unit.text, score, unit))
    return tuple(found)
