"""Options that several commands share, and the checks that need no model."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any

import typer

from tagxai.cli import display
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.explaining.estimate import estimate
from tagxai.explaining.explanation import Interval
from tagxai.explaining.loading import Device, Dtype, choose_device, choose_dtype, doubts, load_generator, make_method
from tagxai.lazy import torch
from tagxai.registering.registry import registry

LARGE = 1e9
"""Bytes from which on a run's memory is told."""

GeneratorOption = Annotated[
    str, typer.Option("--generator", "-g", metavar="NAME[:SOURCE]", help="The model; SOURCE is a folder or hub id.")
]
DurationOption = Annotated[
    float | None,
    typer.Option("--duration", "-d", metavar="SECONDS", help="Length of the clip, if not the model's own."),
]
SeedOption = Annotated[int, typer.Option("--seed", "-s", min=0, max=2**32 - 1, help="Another seed, another clip.")]
GuidanceOption = Annotated[
    float | None, typer.Option("--guidance-scale", help="Of classifier-free guidance, if not the model's own.")
]
TopKOption = Annotated[
    int | None,
    typer.Option("--top-k", min=0, help="Draw from this many likeliest codes; 0 from all."),
]
TemperatureOption = Annotated[float | None, typer.Option("--temperature", help="Of sampling; 0 is greedy.")]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="auto is cuda where there is one, else cpu; sharded is all there are.")
]
DtypeOption = Annotated[
    Dtype, typer.Option("--dtype", help="Of the weights; auto is bfloat16 on a cuda device that has it, else float32.")
]
MemoryOption = Annotated[
    bool, typer.Option("--memory-check/--no-memory-check", help="Refuse a run that plainly does not fit into memory.")
]
IntervalOption = Annotated[
    list[str] | None,
    typer.Option("--interval", "-i", metavar="START:END", help="Score these seconds too; may be repeated."),
]


def check_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise TagxaiError("the prompt is empty; give some words, such as 'a dog barks while rain falls'")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise TagxaiError(f"the prompt {prompt!a} is not valid UTF-8 text") from None


def check_generator(spec: str) -> None:
    """The name alone; whether the source holds a model shows when it is loaded."""
    registry().generator(spec.partition(":")[0])


def check_duration(duration: float | None) -> None:
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise TagxaiError(f"--duration takes a positive number of seconds, not {duration:g}")


def check_fits(generator: Generator, duration: float | None, intervals: Sequence[Interval] = ()) -> None:
    """What only the loaded model can tell: a clip too long for it, and intervals outside all that it can make."""
    longest = generator.max_duration
    if duration is not None and duration * generator.frame_rate > round(longest * generator.frame_rate) + 0.5:
        raise TagxaiError(
            f"generator {generator.name!r} cannot make {duration:g} s: expected {1 / generator.frame_rate:g} to "
            f"{longest:g} s"
        )
    for start, end in intervals:
        if end > longest + 1e-6:
            raise TagxaiError(f"interval {start:g}:{end:g} s does not fit the clip: it has at most {longest:g} s")


def note_doubts(generator: Generator, prompt: str, where: str = "") -> None:
    """Say what the model cannot read of a prompt, before it is made into sound."""
    for doubt in doubts(generator, prompt):
        display.note(f"{where}{doubt}")


def check_memory(generator: Generator, prompt: str, duration: float | None, *methods: Method, refuse: bool) -> None:
    """Say how much memory a large run will take, before it starts, and refuse what plainly does not fit."""
    needed = estimate(generator, prompt, duration, *methods)
    if needed.weights + needed.needed > LARGE:
        display.note(str(needed))
    if refuse:
        needed.check()


def sampling_options(guidance_scale: float | None, top_k: int | None, temperature: float | None) -> dict[str, Any]:
    """The sampling settings under the names that `Generator.generate` has for them. Raises TagxaiError."""
    if guidance_scale is not None and not math.isfinite(guidance_scale):
        raise TagxaiError(f"--guidance-scale takes a number, not {guidance_scale:g}")
    if temperature is not None and not (math.isfinite(temperature) and temperature >= 0):
        raise TagxaiError(f"--temperature takes a number from 0 up, not {temperature:g}")
    return {"guidance_scale": guidance_scale, "top_k": top_k, "temperature": temperature}


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a dictionary."""
    settings = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise TagxaiError(f"--set takes KEY=VALUE, such as epochs=20, not {pair!r}")
        method, dot, option = key.strip().rpartition(".")
        settings[method + dot + option.replace("-", "_")] = value.strip()
    return settings


def parse_methods(text: str) -> list[str]:
    """Names with commas between them."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise TagxaiError(f"--method takes names with commas between them, such as audiogenx,shapley, not {text!r}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TagxaiError(f"--method names {twice!r} twice; give it once")
    return names


def make_methods(names: Sequence[str], settings: Mapping[str, str]) -> dict[str, Method]:
    """The methods by name. A setting METHOD.KEY is that method's, a KEY alone that of every method that has it."""
    own: dict[str, dict[str, str]] = {name: {} for name in names}
    shared = {}
    for key, value in settings.items():
        name, dot, option = key.rpartition(".")
        if not dot:
            shared[key] = value
        elif name in own:
            own[name][option] = value
        else:
            raise UnknownNameError("method in this --set", name, names)
    classes: dict[str, Any] = {name: registry().method(name) for name in names}
    known = {name: {f.name for f in fields(cls)} if is_dataclass(cls) else set() for name, cls in classes.items()}
    for key in shared:
        if len(names) > 1 and not any(key in options for options in known.values()):
            raise UnknownNameError("option of these methods", key, set[str]().union(*known.values()))
    return {
        name: make_method(name, {k: v for k, v in shared.items() if len(names) == 1 or k in known[name]} | own[name])
        for name in names
    }


def parse_intervals(texts: Sequence[str], duration: float | None, option: str = "--interval") -> list[Interval]:
    """`START:END` texts as seconds; where the clip's duration is given, they must lie inside it."""
    intervals = []
    for text in texts:
        try:
            start, end = (float(part) for part in text.split(":"))
        except ValueError:
            raise TagxaiError(f"{option} takes START:END in seconds, such as 1.0:2.5, not {text!r}") from None
        if not (0 <= start < end < math.inf):
            raise TagxaiError(f"{option} takes 0 <= START < END in seconds, not {text!r}")
        if duration is not None and end > duration:
            raise TagxaiError(f"interval {start:g}:{end:g} s does not fit the clip: it has {duration:g} s")
        intervals.append((start, end))
    return intervals


def load_model(spec: str, device: Device, dtype: Dtype = "auto") -> Generator:
    """The generator, with as many threads as suit it, unless OMP_NUM_THREADS says how many."""
    chosen = choose_device(device)
    model = load_generator(spec, device=chosen, dtype=choose_dtype(dtype, chosen))
    if model.threads is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(model.threads)
    return model


def slug(text: str, longest: int = 48) -> str:
    """The words of `text` as a file name, as far as they fit."""
    name = "-".join(re.findall(r"\w+", text.casefold()))
    while len(name.encode()) > longest:
        name = name[:-1]
    return name.strip("-") or "prompt"


def unique_slug(text: str) -> str:
    """`slug`, and where that says less than `text`, some digits that tell it from others."""
    name = slug(text)
    if name == text.replace(" ", "-"):
        return name
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
