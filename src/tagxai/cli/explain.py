"""`tagxai explain`, `show` and `report`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tagxai.attribution import Attribution, saved_intervals
from tagxai.cli.progress import bar, console
from tagxai.errors import TagxaiError
from tagxai.explaining import hear, load_generator, make_method
from tagxai.report import write_audio, write_report
from tagxai.storage import output_folder

Interval = tuple[float, float]


@dataclass(frozen=True)
class Request:
    """What `tagxai explain` was asked."""

    prompt: str
    out: Path | None
    method: str
    generator: str
    intervals: Sequence[str]
    duration: float | None
    seed: int
    settings: Sequence[str]
    audio_repeats: int
    sampling: dict[str, Any]
    device: str

    @property
    def folder(self) -> Path:
        slug = re.sub(r"\W+", "-", self.prompt.lower()).strip("-")[:48] or "prompt"
        return self.out or Path("tagxai-out") / f"{slug}-{self.method}-{self.seed}"


def run(request: Request, *, as_json: bool = False) -> None:
    """Everything that is cheap is checked before anything is made."""
    intervals = [parse_interval(text) for text in request.intervals]
    method = make_method(request.method, parse_settings(request.settings))
    if not request.prompt.strip():
        raise TagxaiError("the prompt is empty; give some words, such as 'a dog barks while rain falls'")
    folder = output_folder(request.folder)
    with bar("loading") as on_progress:
        generator = load_generator(request.generator, device=request.device)
        method.check_supported(generator)
        longest = generator.max_duration if request.duration is None else request.duration
        check_intervals(intervals, longest)
        generation = generator.generate(
            request.prompt,
            duration=request.duration,
            seed=request.seed,
            on_progress=on_progress,
            **{key: value for key, value in request.sampling.items() if value is not None},
        )
        check_intervals(intervals, generation.duration)
        explanation = method.attribute(generator, generation, on_progress=on_progress)
        audio = hear(generator, explanation, repeats=request.audio_repeats, on_progress=on_progress)
    explanation.save(folder, intervals=intervals, audio=write_audio(folder, audio))
    files = write_report(folder, explanation, intervals)
    if as_json:
        print(json.dumps(as_dict(explanation, intervals), ensure_ascii=False, indent=2))
    else:
        print_table(explanation, intervals)
        console.print(Text(f"wrote {folder}/: {', '.join(files)}", style="dim"), soft_wrap=True)


def show_folder(folder: Path, intervals: Sequence[str]) -> None:
    explanation = Attribution.load(folder)
    asked = [parse_interval(text) for text in intervals] or saved_intervals(folder)
    check_intervals(asked, explanation.generation.duration)
    print_table(explanation, asked)


def report_folder(folder: Path) -> None:
    explanation = Attribution.load(folder)
    write_report(folder, explanation, saved_intervals(folder))
    console.print(f"wrote {folder / 'report.html'} and heatmap.png", soft_wrap=True)


def as_dict(explanation: Attribution, intervals: Sequence[Interval]) -> dict[str, Any]:
    def scores(*interval: float) -> list[dict[str, Any]]:
        return [{"word": score.text, "score": score.score} for score in explanation.per_word(*interval)]

    return {
        "prompt": explanation.generation.prompt,
        "method": explanation.method,
        "words": scores(),
        "intervals": [{"start": start, "end": end, "words": scores(start, end)} for start, end in intervals],
    }


def print_table(explanation: Attribution, intervals: Sequence[Interval]) -> None:
    """Words with their scores and a bar, the whole clip first and then each interval; function words dimmed."""
    clip = explanation.generation
    table = Table(title=Text(clip.prompt), caption=f"{explanation.method}, {clip.duration:g} s, seed {clip.seed}")
    table.add_column("word")
    spans: list[tuple[float | None, float | None]] = [(None, None), *intervals]
    for start, end in spans:
        table.add_column("whole clip" if start is None else f"{start:g}-{end:g} s", no_wrap=True)
    columns = [explanation.per_word(*span) for span in spans]
    for row in zip(*columns, strict=True):
        unit = row[0].unit
        cells = [
            _cell(score.score, max(abs(s.score) for s in column)) for score, column in zip(row, columns, strict=True)
        ]
        table.add_row(Text(unit.text), *cells, style="dim" if unit.function or unit.special else "")
    Console().print(table)


def _cell(score: float, largest: float, width: int = 12) -> Text:
    filled = round(width * abs(score) / largest) if largest else 0
    return Text.assemble(f"{score:8.3g} ", ("█" * filled, "green" if score >= 0 else "red"))


def parse_settings(texts: Sequence[str]) -> dict[str, str]:
    settings = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise TagxaiError(f"--set takes KEY=VALUE, such as epochs=20, not {text!r}")
        settings[key.strip()] = value.strip()
    return settings


def parse_interval(text: str) -> Interval:
    try:
        start, end = (float(part) for part in text.split(":"))
    except ValueError:
        raise TagxaiError(f"--interval takes START:END in seconds, such as 1.0:2.5, not {text!r}") from None
    return start, end


def check_intervals(intervals: Sequence[Interval], duration: float) -> None:
    for start, end in intervals:
        if not 0 <= start < end <= duration + 1e-6:
            raise TagxaiError(
                f"interval {start:g}:{end:g} s does not fit the clip: expected 0 <= start < end <= {duration:g} s"
            )
