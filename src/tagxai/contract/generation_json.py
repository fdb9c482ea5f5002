"""A clip as JSON and tensors: the one form in which explanations, benchmarks and `tagxai generate` keep it.

Its sound is kept beside them, in a format of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tagxai.contract.identity import Identity
from tagxai.contract.timeline import DelayPattern, Timeline
from tagxai.contract.values import Generation
from tagxai.lazy import torch

_RECORD = "record."


def to_json(generation: Generation) -> dict[str, Any]:
    """All of a clip but its record and its waveform. The duration, which follows from them, is for human readers."""
    return {
        "prompt": generation.prompt,
        "generator": generation.generator,
        "seed": generation.seed,
        "settings": dict(generation.settings),
        "tokens": list(generation.tokens),
        "spans": [list(span) for span in generation.spans],
        "timeline": generation.timeline.to_json(),
        "sample_rate": generation.sample_rate,
        "duration": generation.duration,
        **({"given": generation.given} if generation.given else {}),
        "model": None if generation.model is None else generation.model.to_json(),
    }


def to_tensors(generation: Generation) -> dict[str, torch.Tensor]:
    """A clip's record, under names that `from_json` reads."""
    return {f"{_RECORD}{name}": tensor for name, tensor in generation.record.items()}


def from_json(content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], waveform: torch.Tensor) -> Generation:
    """The clip that `to_json` and `to_tensors` described; also as schemas 1 and 2 had it, which knew codes alone.

    Raises KeyError, TypeError or ValueError where the three do not describe a clip.
    """
    if "timeline" in content:
        timeline = Timeline.from_json(content["timeline"])
        record = {name.removeprefix(_RECORD): tensor for name, tensor in tensors.items() if name.startswith(_RECORD)}
        spans = content["spans"]
    else:
        codes = tensors["codes"]
        timeline = Timeline.from_json({**content, "kind": DelayPattern.kind, "frames": codes.shape[-1]})
        if codes.ndim != 2 or len(codes) != timeline.streams:
            raise ValueError(f"codes of shape {tuple(codes.shape)} do not fit a timeline of {timeline.streams} streams")
        record, spans = {"codes": codes}, content["token_spans"]
    return Generation(
        prompt=content["prompt"],
        tokens=tuple(content["tokens"]),
        spans=tuple((start, end) for start, end in spans),
        waveform=waveform,
        sample_rate=content["sample_rate"],
        timeline=timeline,
        seed=content["seed"],
        generator=content["generator"],
        record=record,
        settings=content["settings"],
        model=Identity(**model) if (model := content.get("model")) is not None else None,
        given=content.get("given", 0),
    )
