"""`tagxai generate`: clips of one prompt or of a list of prompts, with what is already made left as it is."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Literal, NamedTuple

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, options
from tagxai.contract import generation_json
from tagxai.contract.attribution import installed_versions
from tagxai.contract.generator import Generator
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.text.lists import Prompt, is_list, read_prompts

SCHEMA = "tagxai.clip"


@dataclass(frozen=True)
class Job:
    """One clip to make. What decides its sound decides its name, so that a finished clip is known again."""

    prompt: Prompt
    seed: int
    generator: str
    duration: float | None
    sampling: Mapping[str, Any]

    @cached_property
    def name(self) -> str:
        content = [self.prompt.text, self.seed, self.generator, self.duration, sorted(self.sampling.items())]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]
        return f"{options.slug(self.prompt.text)}-{digest}"

    def is_done(self, folder: Path) -> bool:
        """Whether the clip's JSON, which is written last, is there and its files are what it says."""
        try:
            written = storage.read_json(folder / f"{self.name}.json")["sha256"]
            return bool(written) and all(storage.sha256(folder / file) == digest for file, digest in written.items())
        except (DamagedFileError, OSError, KeyError, TypeError, AttributeError):
            return False

    def make(self, generator: Generator, folder: Path) -> None:
        started = monotonic()
        clip = generator.generate(self.prompt.text, duration=self.duration, seed=self.seed, **self.sampling)
        audio, codes = f"{self.name}.flac", f"{self.name}.safetensors"
        storage.write_audio(folder / audio, clip.waveform, clip.sample_rate)
        storage.write_tensors(folder / codes, generation_json.to_tensors(clip))
        storage.write_json(
            folder / f"{self.name}.json",
            {
                "schema": SCHEMA,
                "schema_version": 2,
                "prompt": clip.prompt,
                "generator": clip.generator,
                "seed": clip.seed,
                "settings": dict(clip.settings),
                "tokens": list(clip.tokens),
                "duration": clip.duration,
                "sample_rate": clip.sample_rate,
                "timeline": clip.timeline.to_json(),
                "versions": installed_versions(),
                "seconds": round(monotonic() - started, 3),
                "sha256": {name: storage.sha256(folder / name) for name in (audio, codes)},
            },
        )


class Result(NamedTuple):
    """What became of a job."""

    job: Job
    status: Literal["made", "kept", "failed"]
    error: str = ""


def register(app: typer.Typer) -> None:
    app.command(
        epilog='Examples: [bold]tagxai generate "a dog barks" --repeats 5[/]\n\n'
        "[bold]tagxai generate audiocaps_val.csv --limit 100 --out clips[/]\n\n"
        "The same command again goes on where it was interrupted."
    )(generate)


def generate(
    prompts: Annotated[
        str,
        typer.Argument(
            metavar="PROMPTS",
            help="A prompt; or a .csv or .tsv with a column caption or prompt; or a .txt with one prompt a line.",
        ),
    ],
    generator: options.GeneratorOption = "tiny",
    duration: options.DurationOption = None,
    seed: options.SeedOption = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Clips of each prompt, with seeds from --seed upwards.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first prompts of a list.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Default: tagxai-out/ and a name from PROMPTS.")
    ] = None,
    guidance_scale: options.GuidanceOption = None,
    top_k: options.TopKOption = None,
    temperature: options.TemperatureOption = None,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    memory_check: options.MemoryOption = True,
) -> None:
    """Make audio and its codes from a prompt or a list of them; what is already made is not made again."""
    if is_list(prompts):
        chosen = read_prompts(Path(prompts))[:limit]
    else:
        options.check_prompt(prompts)
        chosen = [Prompt(prompts, 1)]
    options.check_generator(generator)
    options.check_duration(duration)
    sampling = options.sampling_options(guidance_scale, top_k, temperature)
    jobs = [Job(p, s, generator, duration, sampling) for p in chosen for s in range(seed, seed + repeats)]
    target = out or Path("tagxai-out", Path(prompts).stem if is_list(prompts) else options.unique_slug(prompts))

    def load() -> Generator:
        model = options.load_model(generator, device, dtype)
        options.check_fits(model, duration)
        longest = max((prompt.text for prompt in chosen), key=len)
        options.check_memory(model, longest, duration, refuse=memory_check)
        return model

    with storage.new_folder(target) as folder:
        results: list[Result] = []
        try:
            for result in _run(jobs, folder, load):
                results.append(result)
        finally:
            if results:
                _write_index(folder, results)
    count = Counter(result.status for result in results)
    summary = f"made {count['made']}, already there {count['kept']}, failed {count['failed']}: {folder / 'index.csv'}"
    display.out().print(Text(summary), soft_wrap=True)
    if count["failed"]:
        raise typer.Exit(1)


def _run(jobs: Sequence[Job], folder: Path, load: Callable[[], Generator]) -> Iterator[Result]:
    """Make what is not made yet. The model is loaded for the first clip that needs it; a clip that fails is told."""
    generator = None
    looked_at = set()
    with _progress(len(jobs)) as advance:
        for job in jobs:
            result = Result(job, "kept")
            try:
                if not job.is_done(folder):
                    options.check_prompt(job.prompt.text)
                    generator = generator or load()
                    if job.prompt not in looked_at:
                        looked_at.add(job.prompt)
                        options.note_doubts(generator, job.prompt.text, f"line {job.prompt.line}: ")
                    job.make(generator, folder)
                    result = Result(job, "made")
            except TagxaiError as error:
                if generator is None and job.prompt.text:  # no model: no clip can be made
                    raise
                result = Result(job, "failed", str(error))
                display.complain(f"line {job.prompt.line}: {error}")
            advance(result)
            yield result


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Result], None]]:
    """A bar with the time left; in a log, a line for each clip."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = display.err()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("clips", total=total)
        started, made, done = monotonic(), 0, 0

        def advance(result: Result) -> None:
            nonlocal made, done
            made, done = made + (result.status == "made"), done + 1
            bars.update(task, completed=done, description=display.printable(result.job.prompt.text)[:40])
            if not console.is_terminal and result.status == "made":
                left = (monotonic() - started) / made * (total - done)
                display.note(f"{done}/{total} {result.job.name}.flac, at most {left:.0f} s left")

        yield advance


def _write_index(folder: Path, results: Sequence[Result]) -> None:
    """index.csv: which line of the list became which file."""
    with (
        storage.whole_file(folder / "index.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["line", "prompt", "seed", "clip", "error"])
        for job, status, error in results:
            clip = "" if status == "failed" else f"{job.name}.flac"
            writer.writerow([job.prompt.line, job.prompt.text, job.seed, clip, error])
