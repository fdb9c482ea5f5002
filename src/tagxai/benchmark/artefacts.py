"""What a run remembers between its cells: clips and explanations, each as JSON and tensors and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tagxai.contract import generation_json
from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import Cost
from tagxai.contract.values import Generation
from tagxai.lazy import torch

T = TypeVar("T")
FileContent = tuple[dict[str, Any], dict[str, Any]]
"""JSON, and tensors by name."""


@dataclass(frozen=True)
class ArtefactKind(Generic[T]):
    """The folder of one kind of artefact, and how an artefact becomes the content of its file and back."""

    folder: str
    to_file: Callable[[T], FileContent]
    from_file: Callable[[Mapping[str, Any], Mapping[str, Any]], T]


def clips_on(device: torch.device) -> ArtefactKind[Generation]:
    """Clips, whose records are read onto `device`."""

    def to_file(clip: Generation) -> FileContent:
        return generation_json.to_json(clip), {"waveform": clip.waveform, **generation_json.to_tensors(clip)}

    def from_file(content: Mapping[str, Any], tensors: Mapping[str, Any]) -> Generation:
        record = {name: tensor.to(device) for name, tensor in tensors.items() if name != "waveform"}
        return generation_json.from_json(content, record, tensors["waveform"])

    return ArtefactKind("clips", to_file, from_file)


def explanations_of(clip: Generation) -> ArtefactKind[Attribution]:
    """Explanations of one clip, which is not in their files again."""

    def to_file(attribution: Attribution) -> FileContent:
        content = {field: getattr(attribution, field) for field in ("method", "is_mask", "merge")}
        for field in ("settings", "diagnostics", "versions"):
            content[field] = dict(getattr(attribution, field))
        content["cost"] = attribution.cost.to_json()
        tensors = {"scores": attribution.scores}
        if attribution.deviation is not None:
            tensors["deviation"] = attribution.deviation
        return content, tensors

    def from_file(content: Mapping[str, Any], tensors: Mapping[str, Any]) -> Attribution:
        placed: dict[str, Any] = {**tensors, **content, "cost": Cost.from_json(content["cost"])}
        return Attribution(clip, **placed)

    return ArtefactKind("explanations", to_file, from_file)
