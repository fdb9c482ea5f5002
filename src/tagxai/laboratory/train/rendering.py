"""Rendered clips as training data for the codec."""

import numpy as np
import torch
from torch import Tensor

from tagxai.laboratory.sounds.scenes import scenes
from tagxai.laboratory.sounds.splits import Split
from tagxai.lazy import Float


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
