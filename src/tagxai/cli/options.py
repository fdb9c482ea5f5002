"""Options that several commands share, and the checks that need no model."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tagxai import storage
from tagxai.cli import display
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError
from tagxai.explaining.estimate import estimate
from tagxai.explaining.explanation import Interval
from tagxai.explaining.loading import DTYPES, choose_device, choose_dtype, device_named, dtype_named, load_generator
from tagxai.explaining.prompts import duration_warnings, prompt_warnings
from tagxai.lazy import torch
from tagxai.registering.registry import registry

LARGE = 1e9
"""Runs that need more bytes than this report it."""

GeneratorOption = Annotated[
    str,
    typer.Option(
        "--generator",
        "-g",
        metavar="NAME[:SOURCE]",
        help="The model; SOURCE: a folder or OWNER/NAME[@REVISION].",
    ),
]
DurationOption = Annotated[
    float | None,
    typer.Option("--duration", "-d", metavar="SECONDS", help="Length of the clip; default: the model's own."),
]
SeedOption = Annotated[int, typer.Option("--seed", "-s", min=0, max=2**32 - 1, help="Each seed gives another clip.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]|mps|sharded",
        parser=device_named,
        help="auto: cuda if available, else cpu; sharded: all devices.",
    ),
]
DtypeOption = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="|".join(DTYPES),
        parser=dtype_named,
        help="Type of the weights; auto: bfloat16 on a cuda device that supports it, else float32; int8: 8 bits.",
    ),
]
MemoryOption = Annotated[
    bool, typer.Option("--memory-check/--no-memory-check", help="Refuse a run that clearly does not fit into memory.")
]
IntervalOption = Annotated[
    list[str] | None,
    typer.Option("--interval", "-i", metavar="START:END", help="Also score these seconds; may be repeated."),
]


def folder_given(text: str | Path) -> Path:
    """The folder of an option or argument; an empty text would be the current one."""
    if not str(text).strip():
        raise TagxaiError("the name of the output folder is empty (from an unset variable?); give one, or . for this")
    return Path(text)


HeatmapOption = Annotated[
    bool, typer.Option("--heatmap", help="Also draw heatmap.png: words by seconds over the spectrogram.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
ForceOption = Annotated[
    bool, typer.Option(storage.FORCE, help="Write into FOLDER although it holds other files, and replace some of them.")
]


def out_option(help: str) -> Any:
    """The option `--out`."""
    return typer.Option("--out", "-o", metavar="FOLDER", parser=folder_given, help=help)


def check_generator(spec: str) -> None:
    """Check only the name; the source is checked when the model is loaded."""
    registry().generator(spec.partition(":")[0])


def check_duration(duration: float | None) -> None:
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise TagxaiError(f"--duration takes a positive number of seconds, not {duration:g}")


def check_fits(generator: Generator, duration: float | None, intervals: Sequence[Interval] = ()) -> None:
    """Check what needs the loaded model: that it can make so long a clip, and that intervals can lie in one.

    Report a clip that is longer than what the model was trained on.
    """
    longest = generator.max_duration
    if duration is not None and duration * generator.frame_rate > round(longest * generator.frame_rate) + 0.5:
        raise TagxaiError(
            f"generator {generator.name!r} cannot make {duration:g} s: expected {1 / generator.frame_rate:g} to "
            f"{longest:g} s"
        )
    for start, end in intervals:
        if end > longest + 1e-6:
            raise TagxaiError(f"interval {start:g}:{end:g} s does not fit the clip: it has at most {longest:g} s")
    for warning in duration_warnings(generator, duration):
        display.note(warning)


def warn_about_prompt(generator: Generator, prompt: str, encoded: Conditioning, where: str = "") -> None:
    """Report what the model cannot read in an encoded prompt, before anything is generated."""
    for warning in prompt_warnings(generator, prompt, encoded):
        display.note(f"{where}{warning}")


def check_memory(
    generator: Generator, encoded: Conditioning, duration: float | None, *methods: Method, refuse: bool
) -> None:
    """Report how much memory a large run needs before it starts, and refuse a run that clearly does not fit."""
    needed = estimate(generator, encoded, duration, *methods)
    if needed.weights + needed.needed > LARGE:
        display.note(str(needed))
    if refuse:
        needed.check()


def load_model(spec: str, device: str, dtype: str = "auto") -> Generator:
    """The generator, with the number of threads that suits it unless OMP_NUM_THREADS is set."""
    chosen, threads = choose_device(device), registry().generator(spec.partition(":")[0]).threads
    if threads is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads)  # before torch starts more, which would wait in vain
    return load_generator(spec, device=chosen, dtype=choose_dtype(dtype, chosen))
