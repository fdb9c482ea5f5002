"""How long a run will take, from what a trial of its kinds of work took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagxai.benchmark.cells import Job
from tagxai.benchmark.foresight.schedule import makespan
from tagxai.benchmark.foresight.trial import Trial, kind_of, kinds_of

HOUR = 3600.0


@dataclass(frozen=True)
class Forecast:
    """The seconds that a run takes on its workers, loading included; at least so many where not `complete`.

    `generating` and `explaining` are shares of the work; measuring is the rest. `memory` is the trial's peak, in bytes.
    """

    seconds: float
    complete: bool
    generating: float
    explaining: float
    memory: int

    @property
    def over_an_hour(self) -> bool:
        """Whether it takes more than an hour, or may."""
        return self.seconds > HOUR or not self.complete


def forecast(
    jobs: Sequence[Job], kinds: Sequence[Job], trial: Trial, *, workers: int, start_seconds: float, fresh: bool = True
) -> Forecast:
    """`kinds` are those that were tried; `jobs` are what is to be done, in the order in which workers take them.

    `fresh` processes pay once more for what the first clip of the trial has loaded.
    """
    warm_up = sum(tried.warm_up for tried in trial.tried)
    lines = {kind_of(kind): tried.line for kind, tried in zip(kinds, trial.tried, strict=True)}
    per_cell = sum(each.seconds for each in trial.tried) / max(1, sum(each.cells for each in trial.tried))

    def seconds_of(job: Job) -> float:
        """A job's clips may be of several kinds; of a kind that the trial has broken into, cells count."""
        total = 0.0
        for part in kinds_of([job]):
            batch, clip = lines.get(kind_of(part), (0.0, per_cell * part.cells / len(part.clips)))
            total += batch + clip * len(part.clips)
        return total

    free = [0.0] + [start_seconds] * (min(workers, max(1, len(jobs))) - 1)

    def spent(part: str) -> float:
        """What all clips will take of a part of the work, by what those of the trial took."""
        pairs = zip(kinds, trial.tried, strict=True)
        return float(sum(len(kind.clips) / max(1, tried.clips) * getattr(tried, part) for kind, tried in pairs))

    total = spent("seconds") or 1.0

    return Forecast(
        seconds=start_seconds + makespan(map(seconds_of, jobs), free) + (warm_up if fresh else 0.0),
        complete=all(tried.complete for tried in trial.tried),
        generating=min(1.0, spent("generating") / total),
        explaining=min(1.0, spent("explaining") / total),
        memory=trial.memory,
    )


def in_words(seconds: float) -> str:
    """A time as a person says it.

    >>> in_words(42.4), in_words(100), in_words(8000), in_words(200_000)
    ('42 s', '1 min 40 s', '2 h 13 min', '2 days 7 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * HOUR:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days {whole % 86400 // 3600} h"
