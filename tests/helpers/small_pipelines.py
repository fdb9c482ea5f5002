"""Small pipelines of diffusers with random weights, saved in the layout of the released ones."""

from functools import cache

import torch

from tagxai.generators.embedded import WEIGHTS
from tagxai.generators.parts import quiet

WIDTH = 32


@cache
def text_parts():
    """The embedded models' tokenizer, for prompts of at most 24 tokens, and a small T5."""
    from transformers import AutoTokenizer, T5Config, T5EncoderModel

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(WEIGHTS, model_max_length=24)
        shape = {"d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 4}
        return tokenizer, T5EncoderModel(T5Config(vocab_size=len(tokenizer), dropout_rate=0.0, **shape)).eval()


def louder(module, factor):
    """Random weights let the text do little; these let it be heard."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.startswith(("to_v", "to_out", "to_kv")):
                weight *= factor


def stable_audio():
    from diffusers import (
        AutoencoderOobleck,
        CosineDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer, text_encoder = text_parts()
        transformer = StableAudioDiTModel(
            sample_size=20,
            in_channels=6,
            out_channels=6,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            num_key_value_attention_heads=2,
            cross_attention_dim=16,
            time_proj_dim=16,
            global_states_input_dim=2 * WIDTH,
            cross_attention_input_dim=WIDTH,
        )
        for block in transformer.transformer_blocks:
            louder(block.attn2, 6.0)
        vae = AutoencoderOobleck(8, [2, 5], [1, 2], 8, 6, audio_channels=2, sampling_rate=200)
        projection = StableAudioProjectionModel(WIDTH, WIDTH, 0, 64)
        pipe = StableAudioPipeline(
            vae=vae.eval(),
            text_encoder=text_encoder,
            projection_model=projection.eval(),
            tokenizer=tokenizer,
            transformer=transformer.eval(),
            scheduler=CosineDPMSolverMultistepScheduler(sigma_min=0.3, sigma_max=500, solver_order=2),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe
