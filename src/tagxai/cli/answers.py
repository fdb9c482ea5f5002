"""The answers of `ask` and `effects`: a table over units or over time, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from tagxai.cli import display
from tagxai.contract.values import Generation
from tagxai.explaining.kept_answers import Answer, keep
from tagxai.scoring import WaysIn
from tagxai.text.printable import printable
from tagxai.text.words import Unit

SLICES = 10
"""Rows of a table over time."""


def is_denoised(clip: Generation) -> bool:
    """Whether the clip's record is latents at noise levels, and not codes."""
    return "levels" in clip.record


def mean_per_unit(values: Any, frames: range) -> list[float]:
    """`values[units, streams, frames]` averaged over streams and some frames."""
    return values[..., frames.start : frames.stop].mean((1, 2)).tolist()


@dataclass(frozen=True)
class Asked:
    """A question about the clip of a folder, and how its answer is printed."""

    folder: Path
    clip: Generation
    question: str
    meaning: str
    unit: str
    as_json: bool

    def keep(self, first: str, labels: Sequence[str], columns: Mapping[str, Sequence[float]]) -> None:
        """Keep the answer for the page, whose table has `first` above its labels."""
        rows = [
            [printable(label), *(display.decimals(column[row]) for column in columns.values())]
            for row, label in enumerate(labels)
        ]
        meaning = f"{self.meaning}; {self.unit}"
        keep(self.folder, self.clip, Answer(printable(self.question), printable(meaning), [first, *columns], rows))


def print_units(asked: Asked, units: Sequence[Unit], columns: Mapping[str, list[float]]) -> None:
    clip, title, as_json = asked.clip, asked.meaning, asked.as_json
    asked.keep("word", [unit.text for unit in units], columns)
    if as_json:
        rows = [
            {**asdict(unit), **dict(zip(columns, row, strict=True))}
            for unit, *row in zip(units, *columns.values(), strict=True)
        ]
        _print_json({"prompt": clip.prompt, "meaning": title, "unit": asked.unit, "units": rows})
        return
    _print_title(asked)
    labels = [(unit.text, unit.function or unit.special) for unit in units]
    display.out().print(display.bar_table("word", labels, columns, display.out()))


def print_frames(asked: Asked, columns: Mapping[str, list[float]], here: range, there: range | None) -> None:
    """Means over streams in slices of time, or in the two intervals and their difference."""
    clip, title = asked.clip, asked.meaning
    intervals = [frames for frames in (here, there) if frames is not None]
    means = [{name: _mean(values, frames) for name, values in columns.items()} for frames in intervals]
    size = -(-len(here) // SLICES)
    shown = intervals if there is not None else [here[i : i + size] for i in range(0, len(here), size)]
    labels = [("{start:.3g}-{end:.3g} s".format(**_seconds(clip, frames)), False) for frames in shown]
    rows = {name: [_mean(values, frames) for frames in shown] for name, values in columns.items()}
    labels.append(("difference" if there is not None else "all", False))
    for name, column in rows.items():
        column.append(column[0] - column[1] if there is not None else means[0][name])
    asked.keep("time", [label for label, _ in labels], rows)
    if asked.as_json:
        answers = [
            {
                **_seconds(clip, frames),
                "mean": mean,
                "frames": {name: values[frames.start : frames.stop] for name, values in columns.items()},
            }
            for frames, mean in zip(intervals, means, strict=True)
        ]
        _print_json({"prompt": clip.prompt, "meaning": title, "unit": asked.unit, "intervals": answers})
        return
    _print_title(asked)
    display.out().print(display.bar_table("time", labels, rows, display.out()))


def keep_ways(folder: Path, clip: Generation, found: WaysIn) -> None:
    """Keep the share of each way into the model for the page, and what it loses in each stream."""
    noise = clip.record["levels"].tolist() if is_denoised(clip) else []
    streams = [f"noise {level:.3g}" for level in noise] or [f"codebook {i + 1}" for i in range(clip.streams)]
    shares = {way: f"{share:.0%}" for way, share in found.shares().items()} | {"all of them": "–"}
    lost = {**found.lost, "all of them": found.together}
    rows = [[printable(way), share, *(f"{loss:.3f}" for loss in lost[way].tolist())] for way, share in shares.items()]
    meaning = (
        "lost where nothing is said by that way alone: as a share of the sum over the ways, and in nats per frame; "
        "ways overlap and complete one another, so that they need not add up to all of them"
    )
    keep(folder, clip, Answer("By which way does the prompt act, and when?", meaning, ["way", "share", *streams], rows))


def _mean(values: Sequence[float], frames: range) -> float:
    return sum(values[frame] for frame in frames) / len(frames)


def _seconds(clip: Generation, frames: range) -> dict[str, float]:
    return {"start": frames.start / clip.frame_rate, "end": frames.stop / clip.frame_rate}


def _print_title(asked: Asked) -> None:
    meaning = f"\n{printable(asked.meaning)}; {printable(asked.unit)}"
    display.out().print(Text.assemble((printable(asked.clip.prompt), "bold"), (meaning, "dim")))


def _print_json(content: Mapping[str, Any]) -> None:
    display.print_json(content)
