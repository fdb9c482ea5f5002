"""A small untrained flow between the text encoder and the codec of the embedded models: quick, and nothing silent."""

from functools import cache

import torch

from tagxai.generators.embedded import WEIGHTS
from tagxai.generators.latent import LatentEmbedded
from tagxai.generators.parts import quiet
from tagxai.laboratory.latent_flow import FlowConfig, LatentFlow


@cache
def parts():
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    with quiet(), torch.random.fork_rng(devices=[]):
        flow = LatentFlow(FlowConfig(width=32, layers=2, heads=2, inner=24, frames=20, denoising_steps=4))
        random = torch.Generator().manual_seed(0)
        for weight in flow.parameters():
            weight.data = 0.3 * torch.randn(weight.shape, generator=random)
        musicgen = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
        return flow, musicgen, AutoTokenizer.from_pretrained(WEIGHTS)


def small_latent(kind=LatentEmbedded, levels=2):
    """A generator that runs clips again at so many levels."""
    model = kind(*parts())
    model.levels = levels
    model.default_duration = 0.8
    return model
