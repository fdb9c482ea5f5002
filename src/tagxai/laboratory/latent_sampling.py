"""From noise to latents: Euler steps along a flow's guided velocity."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from tagxai.laboratory.latent_flow import LatentFlow
from tagxai.lazy import Bool, Float


def noise_levels(steps: int, shift: float) -> Float[Tensor, " steps_and_1"]:
    """From 1 to 0; a shift above 1 spends more of the steps near noise, where the text decides.

    >>> noise_levels(2, 3.0)
    tensor([1.0000, 0.7500, 0.0000])
    """
    even = torch.linspace(1, 0, steps + 1)
    return shift * even / (1 + (shift - 1) * even)


def trajectory(
    model: LatentFlow,
    noise: Float[Tensor, "batch frames dim"],
    text: Float[Tensor, "batch tokens text"],
    mask: Bool[Tensor, "batch tokens"],
    *,
    steps: int | None = None,
    guidance: float | None = None,
    shift: float | None = None,
) -> Iterator[Float[Tensor, "batch frames dim"]]:
    """Noise, and after it the latents after each Euler step; defaults are the model's own."""
    config, x = model.config, noise
    guidance = config.guidance_scale if guidance is None else guidance
    levels = noise_levels(steps or config.denoising_steps, config.shift if shift is None else shift).to(noise)
    both, masks = torch.cat([text, torch.zeros_like(text)]), torch.cat([mask, mask])
    yield x
    for now, following in pairwise(levels):
        if guidance == 1:
            velocity = model(x, now.expand(len(x)), text, mask)
        else:
            given, null = model(torch.cat([x, x]), now.expand(2 * len(x)), both, masks).chunk(2)
            velocity = null + guidance * (given - null)
        x = x + (following - now) * velocity
        yield x
