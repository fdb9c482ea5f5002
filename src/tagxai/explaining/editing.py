"""Editing by gains: a clip made again with the influence of some words turned up or down, beside the plain one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.contract import generation_json
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Generator, check_offered
from tagxai.contract.request import Request
from tagxai.contract.saved_folder import is_plain
from tagxai.contract.showing import drawing
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.explaining.gains import token_gains
from tagxai.explaining.making import check_made_by
from tagxai.explaining.prompts import encode
from tagxai.explaining.shared import shared_generator
from tagxai.lazy import torch

EDIT = "edit.json"
SCHEMA, SCHEMA_VERSION = "tagxai.edit", 1


@dataclass(frozen=True, eq=False)
class Take:
    """One seed's pair of clips, and the sounds that a detector hears in each; None where the model has no detector."""

    plain: Generation
    edited: Generation
    heard: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def change(self) -> str:
        """What appeared and vanished by the edit, in words; empty where no detector listened."""
        if self.heard is None:
            return ""
        before, after = self.heard
        parts = {
            "appeared": [sound for sound in after if sound not in before],
            "vanished": [sound for sound in before if sound not in after],
        }
        return "; ".join(f"{what}: {', '.join(which)}" for what, which in parts.items() if which) or "the same sounds"

    @property
    def level_change(self) -> float:
        """How much louder the edited clip is, in dB of its root mean square; silence counts as -80 dB."""
        plain, edited = (clip.waveform.double().square().mean().add(1e-8).log10() for clip in (self.plain, self.edited))
        return float(10 * (edited - plain))


@dataclass(frozen=True, eq=False)
class Edit:
    """`gains` by words or phrases, as given; `token_gains` is what they come to, a factor for each text token."""

    gains: Mapping[str, float]
    token_gains: tuple[float, ...]
    takes: tuple[Take, ...]

    @property
    def generation(self) -> Generation:
        """The first seed's plain clip."""
        return self.takes[0].plain

    def _repr_html_(self) -> str:
        return drawing().notebook_html(self)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the clips of every seed, their records and `edit.json` into `folder`, in place of an earlier edit: all
        of them, or none.

        Raises TagxaiError where the folder holds other files, unless `force` is given; OSError where the disk is full.
        """
        with storage.claimed(folder, SCHEMA, force=force) as target, storage.whole_folder(target, earlier) as new:
            self.write(new)
        return target

    def write(self, target: Path) -> None:
        """Write the files of `save` into an empty folder."""
        names: list[str] = []
        for take in self.takes:
            for kind, clip in (("original", take.plain), ("edited", take.edited)):
                name = f"{kind}-{clip.seed}"
                storage.write_audio(target / f"{name}.flac", clip.waveform, clip.sample_rate)
                storage.write_tensors(target / f"{name}.safetensors", generation_json.to_tensors(clip))
                names += [f"{name}.flac", f"{name}.safetensors"]
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "gains": dict(self.gains),
            "token_gains": list(self.token_gains),
            "takes": [
                {
                    "plain": generation_json.to_json(take.plain),
                    "edited": generation_json.to_json(take.edited),
                    "heard": take.heard,
                }
                for take in self.takes
            ],
            "files": {name: storage.sha256(target / name) for name in names},
        }
        content["sha256"] = storage.json_sha256(content)
        storage.write_json(target / EDIT, content)

    @classmethod
    def load(cls, folder: str | Path) -> Edit:
        """Read what `save` wrote. Raises DamagedFileError."""
        source = Path(folder)
        content = storage.read_json(source / EDIT)
        if content.get("schema") != SCHEMA or content.get("schema_version") != SCHEMA_VERSION:
            raise DamagedFileError(f"{source / EDIT} is not a tagxai edit of version {SCHEMA_VERSION}")
        digest = content.pop("sha256", None)
        if storage.json_sha256(content) != digest:
            raise DamagedFileError(f"{source / EDIT} is damaged: it was changed after it was written")
        try:
            for name, known in content["files"].items():
                if not (source / name).is_file() or storage.sha256(source / name) != known:
                    raise DamagedFileError(f"{source / name} is missing or not the file that was written")
            takes = [_take(source, each) for each in content["takes"]]
            return cls(content["gains"], tuple(content["token_gains"]), tuple(takes))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedFileError(f"{source / EDIT} is damaged: {error}") from None


def edit(
    prompt: str | Generation,
    gains: Mapping[str, float],
    *,
    generator: str | Generator | None = None,
    duration: float | None = None,
    seed: int = 0,
    repeats: int = 1,
    on_progress: OnProgress | None = None,
    **sampling: Any,
) -> Edit:
    """Make clips in which words or phrases of the prompt act `gains` times as strongly: 0 is not at all, 2 is twice.

    A gain multiplies the attention to its tokens at every cross-attention site while sampling (0 to 4). `repeats`
    pairs of a plain and an edited clip are made, with seeds from `seed` upwards. A clip that was made earlier is
    edited as it was made, and has its own seed and duration. Give a whole phrase ("a dog barks"), because a verb left
    alone goes on sounding. Raises TagxaiError.
    """
    if not gains:
        raise TagxaiError("an edit needs at least one gain, such as {'rain': 0.3}")
    if repeats < 1:
        raise TagxaiError(f"repeats must be at least 1, not {repeats}")
    earlier = prompt if isinstance(prompt, Generation) else None
    spec = generator or (earlier.generator if earlier is not None else "tiny")
    model = spec if isinstance(spec, Generator) else shared_generator(spec)
    check_offered("editing by gains", frozenset({"attention"}), model)
    if isinstance(prompt, Generation):
        if duration is not None or sampling:
            raise TagxaiError("a clip made earlier is edited as it was made; give no duration or sampling settings")
        check_made_by(model, prompt)
        base = Request.again(prompt, conditioning=conditioning_of(model, prompt))
    else:
        base = Request(prompt, duration, seed, settings=sampling, conditioning=encode(model, prompt))
    assert base.conditioning is not None
    factors = token_gains(gains, base.prompt, base.conditioning.spans[0], base.conditioning.tokens[0])
    seeds = [replace(base, seed=base.seed + i) for i in range(repeats)]
    requests = [each for plain in seeds for each in (plain, gated(plain, model, factors))]
    clips = model.generate_many(requests, on_progress=on_progress)
    takes = [take_of(model, *pair) for pair in zip(clips[::2], clips[1::2], strict=True)]
    return Edit(dict(gains), factors, tuple(takes))


def gated(request: Request, model: Generator, factors: Sequence[float]) -> Request:
    """The request with the attention to each token multiplied by its factor, at every position."""
    mask = torch.tensor(factors).expand(model.timeline(request.duration).positions, -1)
    return replace(request, mask=mask.clone())


def take_of(model: Generator, plain: Generation, edited: Generation) -> Take:
    """The pair, with what the model's detector hears in each."""
    before, after = model.heard(plain), model.heard(edited)
    return Take(plain, edited, None if before is None or after is None else (before.sounds, after.sounds))


def earlier(folder: Path) -> list[str]:
    """The files of an earlier edit in a folder."""
    try:
        content = storage.read_json(folder / EDIT)
    except DamagedFileError:
        return [EDIT]
    named = content.get("files")
    return [EDIT, "report.html", *(name for name in named or () if isinstance(name, str) and is_plain(name))]


def _take(folder: Path, content: Mapping[str, Any]) -> Take:
    heard = content["heard"]
    return Take(
        _read(folder, "original", content["plain"]),
        _read(folder, "edited", content["edited"]),
        None if heard is None else (tuple(heard[0]), tuple(heard[1])),
    )


def _read(folder: Path, kind: str, content: Mapping[str, Any]) -> Generation:
    name = f"{kind}-{content['seed']}"
    waveform, _ = storage.read_audio(folder / f"{name}.flac")
    return generation_json.from_json(content, storage.read_tensors(folder / f"{name}.safetensors"), waveform)
