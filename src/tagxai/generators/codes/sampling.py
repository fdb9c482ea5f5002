"""Drawing codes from logits."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any, get_args

from tagxai.contract.values import Branch
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import torch


def _check_sampling(seed: int, settings: Mapping[str, Any]) -> None:
    """Raises TagxaiError for settings that no clip can be sampled with."""
    for name, smallest in (("temperature", 0), ("top_k", 0), ("guidance_scale", -inf)):
        value = settings[name]
        if not (isfinite(value) and value >= smallest):
            raise TagxaiError(f"{name} must be a number{' of at least 0' if smallest == 0 else ''}, not {value:g}")
    if settings["branch"] not in get_args(Branch):
        raise UnknownNameError("branch", str(settings["branch"]), get_args(Branch))
    if not 0 <= seed < 2**63:
        raise TagxaiError(f"the seed must be between 0 and 2^63 - 1, not {seed}")


def draw(logits: torch.Tensor, top_k: int, temperature: float, random: torch.Generator) -> torch.Tensor:
    """One code a row of `logits[codebooks, vocabulary]`."""
    if temperature == 0:
        return logits.argmax(-1)
    if 0 < top_k < logits.shape[-1]:
        smallest = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    scaled = (logits - logits.amax(-1, keepdim=True)) / temperature  # largest 0, so that no temperature overflows
    return torch.multinomial(scaled.softmax(-1), 1, generator=random)[:, 0]
