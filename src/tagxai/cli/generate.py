"""`tagxai generate`: clips of one prompt or of a list of prompts; existing clips are skipped."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Literal, NamedTuple

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, options
from tagxai.cli.progress import stages
from tagxai.cli.slugs import slug, unique_slug
from tagxai.contract import generation_json
from tagxai.contract.attribution import installed_versions
from tagxai.contract.generator import Generator
from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.text.lists import Prompt, is_list, read_prompts

SCHEMA = "tagxai.clip"


@dataclass(frozen=True)
class Job:
    """One clip to make. Its name is a hash of what decides its sound, so that an existing clip is recognised."""

    prompt: Prompt
    seed: int
    generator: str
    duration: float | None
    sampling: Mapping[str, Any]

    @cached_property
    def name(self) -> str:
        content = [self.prompt.text, self.seed, self.generator, self.duration, sorted(self.sampling.items())]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]
        return f"{slug(self.prompt.text)}-{digest}"

    def is_done(self, folder: Path) -> bool:
        """Whether the clip's JSON, which is written last, exists and its checksums are those of the files."""
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
                **generation_json.to_json(clip),
                "versions": installed_versions(),
                "seconds": round(monotonic() - started, 3),
                "sha256": {name: storage.sha256(folder / name) for name in (audio, codes)},
            },
        )


class Outcome(NamedTuple):
    """What happened to a job."""

    job: Job
    status: Literal["made", "kept", "failed"]
    error: str = ""


def register(app: typer.Typer) -> None:
    app.command(
        epilog='Examples: [bold]tagxai generate "a dog barks" --repeats 5[/]\n\n'
        "[bold]tagxai generate audiocaps_val.csv --limit 100 --out clips[/]\n\n"
        "The same command resumes a run that was interrupted."
    )(generate)


def generate(
    prompts: Annotated[
        str,
        typer.Argument(
            metavar="PROMPTS",
            help="A prompt; or a .csv or .tsv with a column caption or prompt; or a .txt with one prompt per line.",
        ),
    ],
    generator: options.GeneratorOption = "tiny",
    duration: options.DurationOption = None,
    seed: options.SeedOption = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Clips of each prompt, with seeds from --seed upwards.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first prompts of a list.")] = None,
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
    """Make audio and its codes from a prompt or a list of prompts; existing clips are skipped."""
    if is_list(prompts):
        chosen = read_prompts(Path(prompts))[:limit]
    else:
        options.check_prompt(prompts)
        chosen = [Prompt(prompts, 1)]
    options.check_generator(generator)
    options.check_duration(duration)
    sampling = options.sampling_options(guidance_scale, top_k, temperature)
    jobs = [Job(p, s, generator, duration, sampling) for p in chosen for s in range(seed, seed + repeats)]
    target = out or Path("tagxai-out", Path(prompts).stem if is_list(prompts) else unique_slug(prompts))

    def load() -> Generator:
        model = options.load_model(generator, device, dtype)
        options.check_fits(model, duration)
        longest = max((prompt.text for prompt in chosen), key=len)
        options.check_memory(model, longest, duration, refuse=memory_check)
        return model

    with storage.new_folder(target) as folder:
        outcomes: list[Outcome] = []
        try:
            with stages(counted=True) as stage:
                for outcome in _run(jobs, folder, load, stage("clips")):
                    outcomes.append(outcome)
        finally:
            if outcomes:
                _write_index(folder, outcomes)
    count = Counter(outcome.status for outcome in outcomes)
    summary = f"made {count['made']}, already there {count['kept']}, failed {count['failed']}: {folder / 'index.csv'}"
    display.out().print(Text(summary), soft_wrap=True)
    if count["failed"]:
        raise typer.Exit(1)


def _run(
    jobs: Sequence[Job], folder: Path, load: Callable[[], Generator], on_progress: OnProgress
) -> Iterator[Outcome]:
    """Make the missing clips. The model is loaded for the first of them; a clip that fails is reported."""
    generator = None
    checked, kept = set(), 0
    for number, job in enumerate(jobs, 1):
        outcome = Outcome(job, "kept")
        try:
            if not job.is_done(folder):
                options.check_prompt(job.prompt.text)
                generator = generator or load()
                if job.prompt not in checked:
                    checked.add(job.prompt)
                    options.warn_about_prompt(generator, job.prompt.text, f"line {job.prompt.line}: ")
                job.make(generator, folder)
                outcome = Outcome(job, "made")
        except TagxaiError as error:
            if generator is None and job.prompt.text:  # without a model, no clip can be made
                raise
            outcome = Outcome(job, "failed", str(error))
            display.complain(f"line {job.prompt.line}: {error}")
        kept += outcome.status == "kept"  # kept clips take no time, so they would spoil the estimate of what is left
        on_progress(Progress(number - kept, len(jobs) - kept, job.name))
        yield outcome


def _write_index(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """index.csv: the file that each line of the list became."""
    with (
        storage.whole_file(folder / "index.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["line", "prompt", "seed", "clip", "error"])
        for job, status, error in outcomes:
            clip = "" if status == "failed" else f"{job.name}.flac"
            writer.writerow([job.prompt.line, job.prompt.text, job.seed, clip, error])
