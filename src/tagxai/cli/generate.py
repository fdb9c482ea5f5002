"""`tagxai generate`: clips of one prompt or of a list of prompts; existing clips are skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagxai import storage
from tagxai.cli import lists, options
from tagxai.cli.lists import Job, Work
from tagxai.cli.progress import stages
from tagxai.cli.sampling import EPILOG, SamplingCommand, check_sampling, given_sampling
from tagxai.cli.slugs import unique_slug
from tagxai.contract import generation_json
from tagxai.contract.attribution import installed_versions
from tagxai.contract.generator import Generator
from tagxai.contract.request import check_prompt
from tagxai.contract.values import Conditioning, Generation
from tagxai.errors import DamagedFileError
from tagxai.explaining.identifying import model_identity
from tagxai.text.lists import Prompt, is_list, read_prompts

SCHEMA = "tagxai.clip"


def is_done(job: Job, folder: Path) -> bool:
    """Whether the clip's three files are as they were written, and under their own names."""
    about = f"{job.name}.json"
    try:
        content = storage.read_json(folder / about)
        written = content["sha256"]
        own = written.pop(about)
        files = {f"{job.name}.flac", f"{job.name}.safetensors"}
        return (
            storage.json_sha256(content) == own
            and written.keys() == files
            and all(storage.sha256(folder / file) == digest for file, digest in written.items())
        )
    except (DamagedFileError, OSError, KeyError, TypeError, AttributeError):
        return False


def write(job: Job, folder: Path, clip: Generation, seconds: float) -> None:
    """The clip's sound, record and JSON: all, or none. Clips that were made together share the seconds equally."""
    audio, codes = f"{job.name}.flac", f"{job.name}.safetensors"
    content = {
        "schema": SCHEMA,
        "schema_version": 2,
        **generation_json.to_json(clip),
        "versions": installed_versions(),
        "seconds": round(seconds, 3),
    }
    storage.check_json("the clip", content)
    with storage.whole_folder(folder, lambda _: ()) as new:
        storage.write_audio(new / audio, clip.waveform, clip.sample_rate)
        storage.write_tensors(new / codes, generation_json.to_tensors(clip))
        digests = {name: storage.sha256(new / name) for name in (audio, codes)}
        digests[f"{job.name}.json"] = storage.json_sha256(content | {"sha256": digests})
        storage.write_json(new / f"{job.name}.json", content | {"sha256": digests})


def register(app: typer.Typer) -> None:
    app.command(
        cls=SamplingCommand,
        epilog='Examples: [bold]tagxai generate "a dog barks" --repeats 5[/]\n\n'
        "[bold]tagxai generate audiocaps_val.csv --limit 100 --out clips[/]\n\n"
        f"The same command resumes a run that was interrupted. {EPILOG}",
    )(generate)


def generate(
    context: typer.Context,
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
    repeats: Annotated[
        int, typer.Option(min=1, max=100_000, help="Clips of each prompt, with seeds from --seed upwards.")
    ] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first prompts of a list.")] = None,
    out: Annotated[Path | None, options.out_option("Default: tagxai-out/ and a name from PROMPTS.")] = None,
    force: options.ForceOption = False,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    memory_check: options.MemoryOption = True,
) -> None:
    """Make audio and its codes from a prompt or a list of prompts; existing clips are skipped."""
    if is_list(prompts):
        chosen = read_prompts(Path(prompts))[:limit]
    else:
        check_prompt(prompts)
        chosen = [Prompt(prompts, 1)]
    options.check_generator(generator)
    options.check_duration(duration)
    sampling = given_sampling(context)
    target = out or Path("tagxai-out", Path(prompts).stem if is_list(prompts) else unique_slug(prompts))
    storage.input_files(target, [lists.INDEX], [prompts] if is_list(prompts) else [])
    storage.check_claim(target, SCHEMA, force=force)

    def check(model: Generator, longest: Conditioning) -> None:
        options.check_memory(model, longest, duration, refuse=memory_check)

    with storage.claimed(target, SCHEMA, force=force) as folder, storage.alone(folder), stages(counted=True) as stage:
        stage("loading the model")
        model = options.load_model(generator, device, dtype)
        check_sampling(model.sampling_settings(), sampling, f"generator {model.name!r}")
        options.check_fits(model, duration)
        identity = model_identity(model)
        jobs = [Job(p, s, duration, sampling, identity) for p in chosen for s in range(seed, seed + repeats)]
        work = Work(
            is_done=lambda job: is_done(job, folder),
            model=model,
            check=check,
            finish=lambda _, job, clip, seconds: write(job, folder, clip, seconds),
        )
        outcomes = lists.run_all(jobs, work, folder, ("clip", lambda job: f"{job.name}.flac"), stage("clips"))
    lists.print_summary(outcomes, folder)
