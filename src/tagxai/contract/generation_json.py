"""A clip as JSON: the one form in which explanations, benchmarks and `tagxai generate` keep what describes it.

Its codes and its sound are kept beside the JSON, each in a format of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tagxai.contract.values import Generation
from tagxai.lazy import torch


def to_json(generation: Generation) -> dict[str, Any]:
    """All of a clip but its codes and its waveform. The duration, which follows from them, is for those who read it."""
    return {
        "prompt": generation.prompt,
        "generator": generation.generator,
        "seed": generation.seed,
        "settings": dict(generation.settings),
        "tokens": list(generation.tokens),
        "token_spans": [list(span) for span in generation.token_spans],
        "delays": list(generation.delays),
        "frame_rate": generation.frame_rate,
        "sample_rate": generation.sample_rate,
        "duration": generation.duration,
    }


def from_json(content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], waveform: torch.Tensor) -> Generation:
    """The clip that `to_json` described; its codes are `tensors["codes"]`.

    Raises KeyError, TypeError or ValueError where the three do not describe a clip.
    """
    return Generation(
        prompt=content["prompt"],
        tokens=tuple(content["tokens"]),
        token_spans=tuple((start, end) for start, end in content["token_spans"]),
        codes=tensors["codes"],
        waveform=waveform,
        sample_rate=content["sample_rate"],
        frame_rate=content["frame_rate"],
        delays=tuple(content["delays"]),
        seed=content["seed"],
        generator=content["generator"],
        settings=content["settings"],
    )
