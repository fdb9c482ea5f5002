"""A benchmark's folder: clips, explanations and cells, each named by the hash of what made it.

What is there is whole: files are written under another name and renamed. What made a result decides its name, so that a
run finds what another left, writers never meet, and a changed model or setting finds nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.benchmark.plan import Part, Plan
from tagxai.contract import generation_json
from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import Cost
from tagxai.contract.values import Generation
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.lazy import torch
from tagxai.scoring.cache import digest

SCHEMA, SCHEMA_VERSION = "tagxai.benchmark", 1
RUN = "run.json"


def key(content: Mapping[str, Any]) -> str:
    return storage.json_sha256(content)[:32]


@dataclass(frozen=True)
class Clip:
    """A clip of the plan by what makes it; `generator` is the model's identity."""

    label: str
    generator: Mapping[str, Any]
    prompt: str
    seed: int
    duration: float | None
    sampling: Mapping[str, float | None]

    @property
    def key(self) -> str:
        return key({kind: value for kind, value in asdict(self).items() if kind != "label"})

    def explanation(self, method: Part) -> str:
        """The key of its explanation by a method."""
        return key({"clip": self.key, "method": method.identity})

    def cell(self, method: Part, metric: Part) -> str:
        return key({"explanation": self.explanation(method), "metric": metric.identity})


@dataclass(frozen=True)
class Row:
    """One cell: a value or what went wrong; neither where it is yet to be computed."""

    generator: str
    prompt: str
    seed: int
    method: str
    metric: str
    value: float | None = None
    error: str | None = None
    generate_seconds: float | None = None
    seconds: float | None = None
    passes: str = ""


@dataclass(frozen=True)
class Run:
    """A plan, and by each generator's label what it was found to be."""

    plan: Plan
    generators: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]

    def clips(self) -> Iterator[Clip]:
        for label in self.plan.generators:
            identity = self.generators[label]["identity"]
            for prompt in self.plan.prompts:
                for seed in self.plan.seeds:
                    yield Clip(label, identity, prompt, seed, self.plan.duration, self.plan.sampling)

    def supported(self, label: str, parts: tuple[Part, ...]) -> list[Part]:
        """The methods or metrics that work with what a generator offers."""
        offers = set(self.generators[label]["offers"])
        return [part for part in parts if offers.issuperset(part.needs)]

    def cells(self) -> Iterator[tuple[Clip, Part, Part]]:
        """Clip, method and metric of every cell, in the order of the plan."""
        for clip in self.clips():
            for method in self.supported(clip.label, self.plan.methods):
                for metric in self.supported(clip.label, self.plan.metrics_of(clip.prompt)):
                    yield clip, method, metric

    def named(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """(kind, label, identity) of every generator, method and metric."""
        for label in self.plan.generators:
            yield "generator", label, self.generators[label]["identity"]
        for kind, parts in (("method", self.plan.methods), ("metric", self.plan.metrics)):
            for part in parts:
                yield kind, part.label, part.identity

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan.to_json(),
            "generators": dict(self.generators),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Run:
        return cls(Plan.from_json(content["plan"]), content["generators"], content["provenance"])


class Store:
    """Reads and writes one folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    # -- what was planned ----------------------------------------------------------------------------------------

    def write_runs(self, runs: list[Run]) -> None:
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "runs": [run.to_json() for run in runs],
        }
        storage.output_folder(self.folder)
        storage.write_json(self.folder / RUN, content | {"sha256": storage.json_sha256(_plain(content))})

    def runs(self) -> list[Run]:
        """Raises DamagedFileError where the folder is none of a benchmark, of another version, or changed."""
        content = storage.read_json(self.folder / RUN)
        if content.get("schema") != SCHEMA:
            raise DamagedFileError(f"{self.folder / RUN} is not of a tagxai benchmark")
        if content.get("schema_version") != SCHEMA_VERSION:
            raise DamagedFileError(
                f"{self.folder} has schema version {content.get('schema_version')}; this tagxai reads {SCHEMA_VERSION}"
            )
        if content.pop("sha256", None) != storage.json_sha256(content):
            raise DamagedFileError(f"{self.folder / RUN} is damaged: it was changed after it was written")
        try:
            return [Run.from_json(run) for run in content["runs"]]
        except (KeyError, TypeError):
            raise DamagedFileError(f"{self.folder / RUN} is of another version of tagxai") from None

    def check_free(self) -> None:
        """Raises DamagedFileError where a run would write over what another version of tagxai reads."""
        try:
            content = storage.read_json(self.folder / RUN)
        except DamagedFileError:  # not there, or not whole: it is written again
            return
        if (content.get("schema"), content.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
            raise DamagedFileError(
                f"{self.folder / RUN} is of {content.get('schema', 'no benchmark')}, schema version "
                f"{content.get('schema_version')}, and this tagxai writes version {SCHEMA_VERSION}: give another folder"
            )

    # -- cells ---------------------------------------------------------------------------------------------------

    def cell_path(self, name: str) -> Path:
        return self.folder / "cells" / name[:2] / f"{name}.json"

    def write_cell(self, name: str, row: Row) -> None:
        content = asdict(row) | {"name": name}
        path = self.cell_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.write_json(path, content | {"sha256": storage.json_sha256(content)})

    def read_cell(self, name: str) -> Row | None:
        """None where it is not there. Raises DamagedFileError where it is not what was written."""
        path = self.cell_path(name)
        if not path.is_file():
            return None
        content = storage.read_json(path)
        if content.pop("sha256", None) != storage.json_sha256(content):
            raise DamagedFileError(f"{path} is damaged: it was changed after it was written")
        if content.pop("name", name) != name:
            raise DamagedFileError(f"{path} is damaged: it is another cell, under this one's name")
        try:
            return Row(**content)
        except TypeError:
            raise DamagedFileError(f"{path} is a cell of another version of tagxai") from None

    def is_done(self, name: str) -> bool:
        """Whether a whole cell is there, with a value or an error."""
        try:
            return self.read_cell(name) is not None
        except DamagedFileError:
            return False

    def forget_failure(self, name: str) -> None:
        """A cell with an error is then one that is yet to be computed."""
        try:
            row = self.read_cell(name)
        except DamagedFileError:
            return
        if row is not None and row.error is not None:
            self.cell_path(name).unlink()

    def rows(self, runs: list[Run] | None = None) -> list[Row]:
        """Every cell of the runs (default: the folder's), done or not, in their order; each once.

        A model, method or metric has its first label throughout: another run may have given it another.
        """
        found: dict[str, Row] = {}
        first: dict[tuple[str, str], str] = {}
        for run in self.runs() if runs is None else runs:
            labels = {(kind, own): first.setdefault((kind, key(identity)), own) for kind, own, identity in run.named()}
            for clip, method, metric in run.cells():
                name = clip.cell(method, metric)
                if name not in found:
                    planned = Row(
                        labels["generator", clip.label],
                        clip.prompt,
                        clip.seed,
                        labels["method", method.label],
                        labels["metric", metric.label],
                    )
                    done = self.read_cell(name)
                    # labels are the plan's: the same settings may have had another label
                    named = {f: getattr(planned, f) for f in ("generator", "method", "metric")}
                    found[name] = replace(done, **named) if done is not None else planned
        return list(found.values())

    # -- clips and explanations ----------------------------------------------------------------------------------

    def write_clip(self, name: str, clip: Generation, seconds: float) -> None:
        content = generation_json.to_json(clip) | {"seconds": seconds}
        self._write("clips", name, content, {"waveform": clip.waveform, **generation_json.to_tensors(clip)})

    def read_clip(self, name: str, device: torch.device) -> tuple[Generation, float] | None:
        """The clip and the seconds that it took; None where it is not there or not whole."""
        found = self._read("clips", name)
        if found is None:
            return None
        content, tensors = found
        seconds = content.pop("seconds")
        placed = {name: tensor if name == "waveform" else tensor.to(device) for name, tensor in tensors.items()}
        return generation_json.from_json(content, placed, tensors["waveform"]), seconds

    def write_explanation(self, name: str, attribution: Attribution, seconds: float) -> None:
        content = {field: getattr(attribution, field) for field in ("method", "is_mask", "merge")}
        for field in ("settings", "diagnostics", "versions"):
            content[field] = dict(getattr(attribution, field))
        content["cost"] = attribution.cost.to_json()
        tensors = {"scores": attribution.scores}
        if attribution.deviation is not None:
            tensors["deviation"] = attribution.deviation
        self._write("explanations", name, content | {"seconds": seconds}, tensors)

    def read_explanation(self, name: str, clip: Generation) -> tuple[Attribution, float] | None:
        found = self._read("explanations", name)
        if found is None:
            return None
        content, tensors = found
        seconds = content.pop("seconds")
        content["cost"] = Cost.from_json(content["cost"])
        placed: dict[str, Any] = {**tensors, **content}
        return Attribution(clip, **placed), seconds

    def _write(self, kind: str, name: str, content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        from safetensors.torch import save_file

        path = self.folder / kind / name[:2] / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        text = json.dumps({**content, "name": name}, allow_nan=False)
        with storage.whole_file(path) as temporary:
            save_file(plain, temporary, metadata={"content": text, "sha256": _seal(text, plain)})

    def _read(self, kind: str, name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
        from safetensors import SafetensorError, safe_open

        path = self.folder / kind / name[:2] / f"{name}.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            whole = metadata["sha256"] == _seal(metadata["content"], tensors)
        except (SafetensorError, OSError, KeyError, TypeError):  # not there or damaged: made again
            return None
        if not whole:
            return None
        content = json.loads(metadata["content"])
        return (content, tensors) if content.pop("name", name) == name else None


def finite(value: Any) -> float:
    """A metric's value as a number. Raises TagxaiError for NaN and infinity."""
    number = float(value)
    if not math.isfinite(number):
        raise TagxaiError(f"it gave {number}, which is no number to compare")
    return number


def _seal(text: str, tensors: Mapping[str, torch.Tensor]) -> str:
    return key({"content": text, "tensors": {name: digest(tensor) for name, tensor in tensors.items()}})


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read again: lists for tuples."""
    return json.loads(json.dumps(content))
