"""`tagxai generate`: clips of one prompt or many, each made once."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.cli.progress import bar, console
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.explaining import load_generator
from tagxai.types import Progress

COLUMNS = ("caption", "prompt")


class Task(NamedTuple):
    """One clip to be made: where the prompt comes from, its text, and the seed."""

    source: str
    prompt: str
    seed: int


def run(
    prompts: str,
    out: Path,
    generator_spec: str,
    duration: float | None,
    seeds: range,
    limit: int | None,
    sampling: dict[str, Any],
    device: str,
) -> None:
    rows = list(read_prompts(prompts))[:limit]
    folder = storage.output_folder(out)
    generator = load_generator(generator_spec, device=device)
    options = {"duration": duration, **{key: value for key, value in sampling.items() if value is not None}}
    tasks = [Task(source, prompt, seed) for source, prompt in rows for seed in seeds]
    made, found, failed = [], 0, []
    with bar("generating") as on_progress:
        for index, task in enumerate(tasks):
            on_progress(Progress(index, len(tasks), "generating"))
            name = _name(task, generator_spec, options)
            if _is_whole(folder / f"{name}.json"):
                found += 1
            else:
                try:
                    _make(folder, name, task, generator, options)
                except TagxaiError as error:
                    if len(rows) == 1:
                        raise
                    failed.append(f"{task.source}: {error}")
                    continue
            made.append(name)
    index_file = folder / "index.json"
    storage.write_json(index_file, {"schema": "tagxai.clips", "schema_version": 1, "clips": list(dict.fromkeys(made))})
    console.print(f"{len(made) - found} clips made, {found} were there already: {folder}", soft_wrap=True)
    if failed:
        shown = "; ".join(failed[:5]) + ("; ..." if len(failed) > 5 else "")
        raise TagxaiError(f"{len(failed)} of {len(tasks)} clips could not be made: {shown}")


def _make(folder: Path, name: str, task: Task, generator: Any, options: dict[str, Any]) -> None:
    """The audio, the codes, and last the JSON, which says that the clip is whole."""
    clip = generator.generate(task.prompt, seed=task.seed, **options)
    storage.write_audio(folder / f"{name}.flac", clip.waveform, clip.sample_rate)
    storage.write_tensors(folder / f"{name}.safetensors", {"codes": clip.codes})
    storage.write_json(
        folder / f"{name}.json",
        {
            "schema": "tagxai.clip",
            "schema_version": 1,
            "prompt": clip.prompt,
            "source": task.source,
            "generator": clip.generator,
            "seed": clip.seed,
            "settings": dict(clip.settings),
            "duration": clip.duration,
            "sample_rate": clip.sample_rate,
            "frame_rate": clip.frame_rate,
            "files": {
                f"{name}{ending}": storage.sha256(folder / f"{name}{ending}") for ending in (".flac", ".safetensors")
            },
        },
    )


def _is_whole(description: Path) -> bool:
    """Whether a clip was finished, and its files are still what was written."""
    if not description.is_file():
        return False
    try:
        files = storage.read_json(description).get("files", {})
    except DamagedFileError:
        return False
    paths = [(description.parent / name, digest) for name, digest in files.items()]
    return bool(paths) and all(path.is_file() and storage.sha256(path) == digest for path, digest in paths)


def _name(task: Task, generator: str, options: dict[str, Any]) -> str:
    """A clip's file name: its content decides, so the same request finds the same clip."""
    content = json.dumps([task.prompt, task.seed, generator, options], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_prompts(argument: str) -> Iterator[tuple[str, str]]:
    """(where from, prompt) of a .csv or .txt file, or of a prompt itself."""
    path = Path(argument)
    if path.suffix.lower() not in (".csv", ".txt"):
        yield "prompt", argument
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TagxaiError(f"no file {argument!r}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise TagxaiError(f"{argument!r} is not UTF-8 text (line {line}); save it as UTF-8") from None
    except OSError as error:
        raise TagxaiError(f"cannot read {argument!r}: {error.strerror}") from None
    found = _csv_prompts(argument, text) if path.suffix.lower() == ".csv" else _lines(argument, text)
    if not found:
        raise TagxaiError(f"{argument!r} holds no prompts")
    yield from found


def _csv_prompts(name: str, text: str) -> Sequence[tuple[str, str]]:
    reader = csv.DictReader(text.splitlines(keepends=True))
    columns = reader.fieldnames or []
    column = next((column for column in COLUMNS if column in columns), None)
    if column is None:
        raise TagxaiError(f"{name!r} has no column 'caption' or 'prompt'; its columns: {', '.join(columns) or 'none'}")
    return [(f"{name}, line {reader.line_num}", row[column] or "") for row in reader]


def _lines(name: str, text: str) -> Sequence[tuple[str, str]]:
    return [(f"{name}, line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
