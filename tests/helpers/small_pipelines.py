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


def stable_audio_3(distilled=True):
    from diffusers import (
        AutoencoderSAME,
        FlowMatchEulerDiscreteScheduler,
        StableAudio3DiTModel,
        StableAudio3Pipeline,
    )
    from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder
    from transformers import T5GemmaConfig, T5GemmaEncoderModel
    from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer, _ = text_parts()
        shape = {"num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
        one = T5GemmaModuleConfig(vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=32, **shape)
        config = T5GemmaConfig(encoder=one, decoder=one, is_encoder_decoder=False, vocab_size=len(tokenizer))
        transformer = StableAudio3DiTModel(
            io_channels=6,
            embed_dim=32,
            depth=2,
            num_heads=2,
            cond_token_dim=WIDTH,
            global_cond_dim=WIDTH,
            local_add_cond_dim=7,
            timestep_features_dim=16,
            ff_mult=2.0,
            num_memory_tokens=3,
        )
        for conv in (transformer.preprocess_conv, transformer.postprocess_conv):
            conv.weight.data.normal_(std=0.2)  # zeros in a new model
        transformer.prompt_padding_embedding.data.normal_()
        for block in transformer.transformer_blocks:
            louder(block.cross_attn, 6.0)
        vae = AutoencoderSAME(
            patch_size=5,
            encoder_channels=8,
            encoder_c_mults=(2,),
            encoder_strides=(2,),
            encoder_transformer_depths=(1,),
            latent_dim=6,
            dim_heads=8,
            sampling_rate=200,
        )
        pipe = StableAudio3Pipeline(
            vae=vae.eval(),
            text_encoder=T5GemmaEncoderModel(config).eval(),
            tokenizer=tokenizer,
            duration_embedder=StableAudio3DurationEmbedder(WIDTH, 16, 0.0, 8.0).eval(),
            transformer=transformer.eval(),
            scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, stochastic_sampling=distilled),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe
