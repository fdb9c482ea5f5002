"""A model's fingerprint: what it makes of one prompt and seed, to be compared on another machine or after a change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.lazy import torch

PROMPT = "a dog barks while rain falls"
SEED = 7
LOUDNESS, LIKELIHOOD = 0.05, 0.02
"""Relative differences that another machine's rounding may make: of the loudness, and of the log-probability."""


def fingerprint(generator: Generator, duration: float) -> dict[str, Any]:
    """What the model makes of one prompt, as JSON can hold it: its tokens, its record, and two numbers about them."""
    clip = generator.generate(PROMPT, duration=duration, seed=SEED)
    record = hashlib.sha256()
    for name, tensor in sorted(clip.record.items()):
        record.update(name.encode() + str(tuple(tensor.shape)).encode())
        record.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    with torch.no_grad():
        log_prob = generator.forward(clip).log_prob.float().mean()
    return {
        "prompt": PROMPT,
        "seed": SEED,
        "duration": clip.duration,
        "tokens": list(clip.tokens),
        "record": record.hexdigest()[:32],
        "log_prob": float(f"{float(log_prob):.6g}"),
        "loudness": float(f"{float(clip.waveform.float().square().mean().sqrt()):.6g}"),
    }


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """What is another than it was, a sentence each. A record that differs only by rounding is no difference.

    Sampled codes may part at a rounding, so two machines are compared by their numbers, not by their records.
    """
    said = [
        f"{name} is {found.get(name)!r}, and was {expected[name]!r}"
        for name in ("prompt", "seed", "duration", "tokens")
        if found.get(name) != expected.get(name)
    ]
    for name, allowed in (("log_prob", LIKELIHOOD), ("loudness", LOUDNESS)):
        mine, its = float(found[name]), float(expected[name])
        if found["record"] != expected["record"] and abs(mine - its) > allowed * max(abs(mine), abs(its)):
            said.append(f"{name} is {mine:.4g}, and was {its:.4g}")
    return said
