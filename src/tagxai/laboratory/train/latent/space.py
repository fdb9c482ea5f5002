"""The latent space of the shipped codec, fitted once more: its weights hold the decoder, but not these statistics."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import MusicgenForConditionalGeneration

from tagxai.laboratory.train.codec import latent_space
from tagxai.laboratory.train.latents import LatentSpace
from tagxai.laboratory.train.rendering import rendered
from tagxai.lazy import Float

LEFT_OVER = 0.05
"""Most of the latents' energy that the shipped codebooks may leave over: in their own space they leave 0.03."""


def shipped_space(out: Path, model: MusicgenForConditionalGeneration, seed: int = 0) -> LatentSpace:
    """The space whose latents the codec of `model` decodes, which was trained with `seed`; kept in `out/latents.pt`.

    Mean and basis are fitted as they were then. The codebooks are the shipped ones, which prove that the space is
    theirs: k-means ends elsewhere on another machine, where principal components differ by rounding.
    """
    fitted = latent_space(out, seed)
    codec: Any = model.audio_encoder
    shipped = torch.stack([layer.codebook.embed for layer in codec.quantizer.layers])
    space = fitted._replace(codebooks=shipped)
    lost = left_over(space, rendered(64, seed + 1).sum(1).float())
    if lost > LEFT_OVER:
        raise ValueError(
            f"the codec's codebooks leave {lost:.3f} of the energy of latents fitted with seed {seed}; expected at "
            f"most {LEFT_OVER}, as with the seed and the sounds that the codec was trained with"
        )
    return space


@torch.no_grad()
def left_over(space: LatentSpace, waveform: Float[Tensor, "batch samples"]) -> float:
    """The share of the latents' energy that the codebooks do not explain."""
    latents = space.latents(waveform)
    return float((latents - space.decode(space.encode(latents))).pow(2).sum() / latents.pow(2).sum())
