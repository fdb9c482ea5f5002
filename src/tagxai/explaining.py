"""The main path, by names: prompt -> generate -> attribute, and audio that puts the explanation to the test."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

from jaxtyping import Float

from tagxai import storage, words
from tagxai.attribution import Attribution
from tagxai.base import Generator, Method
from tagxai.errors import DamagedFileError, TagxaiError, UnsupportedError
from tagxai.lazy import torch
from tagxai.registry import registry
from tagxai.types import OnProgress, Progress

Interval = tuple[float, float]
"""[start, end) in seconds."""

Kind = Literal["factual", "counterfactual", "unconditional"]
"""Sampled under the explanation's mask, under one minus it, and without the prompt."""

Device = Literal["auto", "cpu", "cuda", "mps", "sharded"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

_TRACK_FILE = rf"(({'|'.join(get_args(Kind))})(?:-(\d+))?)\.flac"


def choose_device(device: Device) -> str:
    """The device to load a model on. Loads torch."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {
        "cpu": True,
        "sharded": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[device]:
        raise TagxaiError(f"this machine has no {device} device that torch can use; take --device cpu")
    return device


def choose_dtype(dtype: Dtype, device: str) -> str:
    """The weights' type on a device that `choose_device` gave. Loads torch for cuda alone."""
    if dtype != "auto":
        return dtype
    on_cuda = device == "cuda" or (device == "sharded" and torch.cuda.is_available())
    return "bfloat16" if on_cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def load_generator(spec: str = "tiny", *, device: str = "cpu", dtype: str = "float32") -> Generator:
    """A generator by name, or by `name:source` where the source is a folder or hub id ("musicgen:./my-model")."""
    name, _, source = spec.partition(":")
    generator = registry().generator(name)
    if device == "sharded" and not generator.shards:
        raise UnsupportedError(f"generator {name!r} cannot be sharded; take one device, or the generator 'musicgen'")
    return generator.load(source or None, device=device, dtype=dtype)


def make_method(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """A method by name; option values may be text, as from the command line."""
    return registry().method(name).configure(options or {})


def doubts(generator: Generator, prompt: str) -> list[str]:
    """What a model cannot read of a prompt, in a sentence each; nothing for most prompts."""
    (tokens,), (spans,) = (encoded := generator.encode_prompt([prompt])).tokens, encoded.spans
    found = []
    if strange := words.unknown(prompt, spans, tokens):
        shown = ", ".join(repr(word.text) for word in strange[:3]) + (", ..." if len(strange) > 3 else "")
        every = sum(not word.special for word in words.words(prompt, spans, tokens))
        found.append(
            f"the tokenizer of {generator.name!r} does not know {len(strange)} of the prompt's {every} words, or not "
            f"all of their characters ({shown}): what is unknown is one and the same to the model, whatever it says"
        )
    longest = getattr(getattr(generator, "tokenizer", None), "model_max_length", inf)  # transformers: 1e30 if unknown
    if len(tokens) > longest:
        found.append(
            f"the prompt has {len(tokens)} tokens, and the text encoder of {generator.name!r} is made for at most "
            f"{longest}: it will be slow, and the model may not follow it"
        )
    return found


def explain(
    prompt: str,
    *,
    method: str | Method = "audiogenx",
    generator: str | Generator = "tiny",
    duration: float | None = None,
    seed: int = 0,
    guidance_scale: float | None = None,
    top_k: int | None = None,
    temperature: float | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Attribution:
    """Generate `duration` seconds of audio from `prompt` and say which words made which seconds.

    `options` are the method's hyper-parameters, where it is given by name. Raises TagxaiError; warns of what the
    model cannot read of the prompt (`doubts`).
    """
    if isinstance(method, Method) and options:
        raise TagxaiError("options go with a method's name; give them to the method itself")
    chosen = make_method(method, options) if isinstance(method, str) else method
    model = load_generator(generator) if isinstance(generator, str) else generator
    chosen.check_supported(model)
    for doubt in doubts(model, prompt) if prompt.strip() else ():
        warnings.warn(doubt, stacklevel=2)
    generation = model.generate(
        prompt,
        duration=duration,
        seed=seed,
        guidance_scale=guidance_scale,
        top_k=top_k,
        temperature=temperature,
        on_progress=on_progress,
    )
    return chosen.attribute(model, generation, on_progress=on_progress)


@dataclass(frozen=True, eq=False)
class Track:
    """One clip that was sampled to hear an explanation."""

    name: str
    kind: Kind
    seed: int
    waveform: Float[torch.Tensor, "channels samples"]
    sample_rate: int

    @property
    def file(self) -> str:
        return f"{self.name}.flac"


def listen(
    generator: Generator, attribution: Attribution, *, repeats: int = 1, on_progress: OnProgress | None = None
) -> tuple[Track, ...]:
    """Sample `repeats` factual and counterfactual clips, with seeds from the original's upwards, and one without the
    prompt: what stays, what goes, and what comes by itself."""
    original, mask = attribution.generation, attribution.to_mask()
    sampling = {key: original.settings.get(key) for key in ("guidance_scale", "top_k", "temperature")}
    branch = original.settings.get("branch", "guided")
    plan: list[tuple[Kind, int]] = [
        *(("factual", i) for i in range(repeats)),
        *(("counterfactual", i) for i in range(repeats)),
        ("unconditional", 0),
    ]
    tracks = []
    for number, (kind, i) in enumerate(plan):

        def report(progress: Progress, number: int = number, kind: str = kind) -> None:
            if on_progress is not None:
                done = number * progress.total + progress.done
                on_progress(Progress(done, len(plan) * progress.total, f"{kind} audio"))

        generation = generator.generate(
            original.prompt,
            duration=original.duration,
            seed=original.seed + i,
            mask={"factual": mask, "counterfactual": 1 - mask, "unconditional": None}[kind],
            branch="unconditional" if kind == "unconditional" else branch,
            on_progress=report,
            **sampling,
        )
        name = f"{kind}-{i + 1}" if repeats > 1 and kind != "unconditional" else kind
        tracks.append(Track(name, kind, generation.seed, generation.waveform, generation.sample_rate))
    return tuple(tracks)


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a folder of `tagxai explain` holds: an attribution, the intervals that were asked about, and audio."""

    attribution: Attribution
    intervals: Sequence[Interval] = ()
    tracks: Sequence[Track] = ()

    def __post_init__(self) -> None:
        for interval in self.intervals:
            self.attribution.generation.frame_range(*interval)

    def save(self, folder: str | Path) -> Path:
        """Write all of it into `folder`, in place of an explanation that is already there; the JSON comes last."""
        target = storage.output_folder(folder)
        for earlier in ("explanation.json", "comparison.json"):  # from here on the folder holds no whole explanation
            (target / earlier).unlink(missing_ok=True)
        for previous in target.glob("*.flac"):
            if re.fullmatch(_TRACK_FILE, previous.name):
                previous.unlink()
        for track in self.tracks:
            storage.write_audio(target / track.file, track.waveform, track.sample_rate)
        return self.attribution.save(target, intervals=self.intervals, audio=[track.file for track in self.tracks])

    @classmethod
    def load(cls, folder: str | Path) -> Explanation:
        """Read what `save`, or `Attribution.save`, wrote. Raises DamagedFileError."""
        source = Path(folder)
        attribution = Attribution.load(source)
        content = storage.read_json(source / "explanation.json")
        try:
            intervals = tuple((float(i["start"]), float(i["end"])) for i in content.get("intervals", ()))
            tracks = tuple(
                _read_track(source, file, attribution.generation.seed)
                for file in content.get("audio", ())
                if file != "original.flac"
            )
            return cls(attribution, intervals, tracks)
        except (KeyError, TypeError, ValueError, TagxaiError) as error:
            raise DamagedFileError(f"{source / 'explanation.json'} is damaged: {error}") from None


def _read_track(folder: Path, file: str, first_seed: int) -> Track:
    """The clip in `file`, whose name says what it is: clip number i has the i-th seed from the original's upwards."""
    match = re.fullmatch(_TRACK_FILE, file)
    if match is None:
        raise ValueError(f"no audio is called {file!r}")
    name, number = match[1], match[3]
    kind: Kind = match[2]  # type: ignore[assignment]
    waveform, sample_rate = storage.read_audio(folder / file)
    return Track(name, kind, first_seed + int(number or 1) - 1, waveform, sample_rate)
