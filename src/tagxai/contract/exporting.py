"""An attribution for other programs: a table of scores, and labels where a unit is strong.

Audacity reads label tracks (manual.audacityteam.org/man/importing_and_exporting_labels.html), Praat TextGrids
(fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html), and Raven selection tables
(ravensoundsoftware.com/knowledge-base/selection-tables).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from tagxai import storage
from tagxai.contract.strength import STRONG, full_strength
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import Float, torch
from tagxai.text import words
from tagxai.text.words import By, Unit

if TYPE_CHECKING:
    import pandas

FORMATS = ("audacity", "textgrid", "raven")

COLUMNS = ("unit", "text", "function", "special", "start", "end", "score", "deviation")


@runtime_checkable
class Exportable(Protocol):
    """What is exported of an attribution (`tagxai.contract.attribution.Attribution` is one)."""

    @property
    def generation(self) -> Generation: ...
    @property
    def is_mask(self) -> bool: ...
    def over_time(self, units: Sequence[Unit]) -> Float[torch.Tensor, "units frames"]: ...
    def deviation_over_time(self, units: Sequence[Unit]) -> Float[torch.Tensor, "units frames"] | None: ...


class Label(NamedTuple):
    """Where a unit is strong: [start, end) in seconds."""

    start: float
    end: float
    text: str


def to_pandas(attribution: Exportable, by: By) -> pandas.DataFrame:
    """A row of `COLUMNS` for each unit and frame. Raises TagxaiError."""
    try:
        import pandas
    except ImportError:
        raise TagxaiError("a table for pandas needs pandas: pip install 'tagxai[tables]'") from None
    return pandas.DataFrame(_rows(attribution, by), columns=COLUMNS)


def to_csv(attribution: Exportable, path: str | Path | None, by: By) -> str:
    """The same rows as CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(attribution, by))
    return _written(buffer.getvalue(), path)


def to_labels(attribution: Exportable, form: str, path: str | Path | None, by: By) -> str:
    """Where each unit is strong, as a file of that program. Raises UnknownNameError for another `form`."""
    if form not in FORMATS:
        raise UnknownNameError("format of labels", form, FORMATS)
    clip = attribution.generation
    units = words.units(by, clip.prompt, clip.spans, clip.tokens)
    found = tiers(clip, units, attribution.over_time(units), is_mask=attribution.is_mask)
    return _written(_label_text(form, clip, found), path)


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        storage.write_text(Path(path), text)
    return text


def _rows(attribution: Exportable, by: By) -> Iterator[tuple[Any, ...]]:
    clip = attribution.generation
    units = words.units(by, clip.prompt, clip.spans, clip.tokens)
    deviation = attribution.deviation_over_time(units)
    spread = None if deviation is None else deviation.tolist()
    for number, (unit, values) in enumerate(zip(units, attribution.over_time(units).tolist(), strict=True)):
        for frame, score in enumerate(values):
            yield (
                *(number, unit.text, unit.function, unit.special),
                *(round(frame / clip.frame_rate, 6), round((frame + 1) / clip.frame_rate, 6)),
                *(score, None if spread is None else spread[number][frame]),
            )


def tiers(
    clip: Generation, units: Sequence[Unit], scores: Float[torch.Tensor, "units frames"], *, is_mask: bool
) -> list[tuple[str, list[Label]]]:
    """For each unit with characters, its text and where its score is at least half of full strength."""
    strong = scores.double().cpu() / full_strength(scores, clip.frame_rate, is_mask=is_mask) >= STRONG - 1e-9
    found = []
    for unit, row in zip(units, strong.tolist(), strict=True):
        if not unit.special:
            runs = re.finditer("1+", "".join("01"[here] for here in row))
            labels = [Label(run.start() / clip.frame_rate, run.end() / clip.frame_rate, unit.text) for run in runs]
            found.append((unit.text, labels))
    return found


def _label_text(form: str, clip: Generation, found: Sequence[tuple[str, list[Label]]]) -> str:
    """The labels as a file of that program."""
    if form == "textgrid":
        return _text_grid(clip.duration, found)
    labels = sorted((label for _, own in found for label in own), key=lambda label: label[:2])
    if form == "audacity":
        return "".join(f"{start:.6f}\t{end:.6f}\t{_one_line(text)}\n" for start, end, text in labels)
    lines = [
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation",
        *(
            f"{i}\tSpectrogram 1\t1\t{start:.6f}\t{end:.6f}\t0.0\t{clip.sample_rate / 2:.1f}\t{_one_line(text)}"
            for i, (start, end, text) in enumerate(labels, 1)
        ),
    ]
    return "\n".join(lines) + "\n"


def _text_grid(duration: float, found: Sequence[tuple[str, list[Label]]]) -> str:
    """An interval tier for each unit; Praat wants every tier whole, so silence between labels is an empty label."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {duration:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(found)}", "item []:"]
    for number, (text, labels) in enumerate(found, 1):
        marks, last = [], 0.0
        for label in labels:
            marks += [Label(last, label.start, "")] if label.start > last + 1e-9 else []
            marks.append(label)
            last = label.end
        marks += [Label(last, duration, "")] if last < duration - 1e-9 else []
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(text)}"]
        lines += ["        xmin = 0", f"        xmax = {duration:.6f}", f"        intervals: size = {len(marks)}"]
        for i, (start, end, mark) in enumerate(marks, 1):
            lines += [f"        intervals [{i}]:", f"            xmin = {start:.6f}", f"            xmax = {end:.6f}"]
            lines.append(f"            text = {_quoted(mark)}")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return re.sub(r"[\t\r\n]+", " ", text)


def _quoted(text: str) -> str:
    return '"' + _one_line(text).replace('"', '""') + '"'
