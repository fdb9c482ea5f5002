"""CPU seconds of some work, measured in turn with what it is compared to, and the memory that it takes.

Two measurements made one after the other say little on a shared machine: its clock, caches and neighbours change in
between. Here every repeat measures the work and its references within a second or so of each other, in alternating
order, and a ratio is taken within a repeat. Time is CPU time of the process, not time on the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

Work = Callable[[], dict[str, Any]]
"""Does the work once, and returns what to report besides its time."""

LEAST = 0.1
"""CPU seconds that one sample takes at least: shorter work is repeated within it."""


class Spread(NamedTuple):
    """The middle and the ends of several samples."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Samples:
    """CPU seconds of each repeat, of the work itself and of each reference; memory and findings are the work's own."""

    seconds: list[float]
    references: dict[str, list[float]]
    peak_mib: float | None
    found: dict[str, Any]


def interleaved(
    work: Work, references: Mapping[str, Work], *, repeats: int, budget: float = float("inf"), least: float = LEAST
) -> Samples:
    """Measure up to `repeats` times, at least once, and start no repeat after `budget` CPU seconds."""
    seconds: list[float] = []
    others: dict[str, list[float]] = {name: [] for name in references}
    peaks: list[float] = []
    found: dict[str, Any] = {}

    def measure_work() -> None:
        nonlocal found
        with resident_memory() as peak:
            taken, found = sample(work, least)
        seconds.append(taken)
        peaks.extend(each for each in [peak()] if each is not None)

    def measure_reference(name: str) -> None:
        others[name].append(sample(references[name], least)[0])

    started = process_time()
    for repeat in range(repeats):
        if repeat and process_time() - started >= budget:
            break
        # The work comes first at first, while the process holds no memory that another has left.
        turns = [measure_work, *(lambda name=name: measure_reference(name) for name in references)]
        for turn in turns if repeat % 2 == 0 else reversed(turns):
            turn()
    return Samples(seconds, others, max(peaks) if peaks else None, found)


def sample(work: Work, least: float = LEAST) -> tuple[float, dict[str, Any]]:
    """CPU seconds of one run, as the mean of as many as fill `least` seconds; and what the last one found.

    Work that measured only some of the audio codes is scaled up to all of them (see `scaled`).
    """
    runs, started = 0, process_time()
    while True:
        found = work()
        runs, taken = runs + 1, process_time() - started
        if taken >= least:
            return scaled(found, taken / runs), found


def scaled(found: Mapping[str, Any], taken: float) -> float:
    """The seconds for all codes, where only some were measured: `shared_seconds` are spent once for all of them."""
    if "measured_codes" not in found:
        return taken
    shared = found.get("shared_seconds", 0.0)
    return shared + (taken - shared) / found["measured_codes"] * found["all_codes"]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio within each repeat."""
    return [first / second for first, second in zip(above, below, strict=True)]


@contextmanager
def resident_memory() -> Iterator[Callable[[], float | None]]:
    """Yields a function for the peak resident size in the block, in MiB above its start; None where Linux is absent."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        yield lambda: None
        return
    reset.write_text("5")  # forget the earlier peak
    before = _status("VmRSS")
    yield lambda: max(0.0, _status("VmHWM") - before)


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024
