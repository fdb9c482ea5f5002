"""What all stages share: atomic checkpoints, a rendered data set, a learning-rate schedule, timed progress lines."""

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tagxai.laboratory.sounds.scenes import scenes
from tagxai.laboratory.sounds.splits import Split


def save(values: Mapping[str, Any], path: Path) -> None:
    """Write a training checkpoint so that a kill at any moment leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(dict(values), partial)
    os.replace(partial, path)


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None."""
    return torch.load(path, weights_only=True) if path.exists() else None


def report(stage: str) -> Callable[..., None]:
    """A printer of progress lines with minutes since its making."""
    start = time.monotonic()

    def line(*parts: object) -> None:
        print(f"[{stage} {(time.monotonic() - start) / 60:5.1f} min]", *parts, flush=True)

    return line


def schedule(step: int, steps: int, warmup: int = 200, last: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, then a cosine down to `last`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * progress))


def rendered(
    count: int, seed: int, split: Split = "train", emphasis: tuple[str, ...] = ()
) -> Float[Tensor, "clips 2 samples"]:
    """Clips as (tonal, noise) parts in half precision; every other one has an event of `emphasis`, if any."""
    source, rng, parts = scenes(split, seed), np.random.default_rng(seed), []
    for number in range(count):
        scene = next(source)
        while emphasis and number % 2 and not set(emphasis) & set(scene.events):
            scene = next(source)
        parts.append(np.stack(scene.render(rng).sound).astype(np.float16))
    return torch.from_numpy(np.stack(parts))
