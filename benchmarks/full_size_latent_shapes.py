"""Models that denoise latents, of the released sizes and with random weights: what `full_size.py` measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagxai.contract.values import Branch
    from tagxai.generators.diffusers.stable_audio import StableAudioGenerator
    from tagxai.generators.diffusers.stable_audio_3 import StableAudio3Generator


@dataclass(frozen=True)
class LatentShape:
    """The sizes of network and text encoder, and how a clip is made; no more are needed, as decoding is not timed."""

    layers: int
    network: dict[str, Any]
    text: dict[str, Any] = field(default_factory=dict)
    seconds: float = 5.0
    steps: int = 100
    branch: Branch = "guided"
    build: Callable[[LatentShape], StableAudioGenerator | StableAudio3Generator] = field(
        default_factory=lambda: stable_audio
    )


def meta(network: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """A network whose weights are there, but were never drawn."""
    import torch
    from full_size_shapes import fill

    with torch.device("meta"):
        made = network(**settings)
    made = made.to_empty(device="cpu")
    fill(made)
    return made


def stable_audio(shape: LatentShape) -> StableAudioGenerator:
    from diffusers import (
        AutoencoderOobleck,
        CosineDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )
    from transformers import T5Config, T5EncoderModel

    from tagxai.generators.diffusers.stable_audio import StableAudioGenerator
    from tagxai.testing.checkpoints import small_tokenizer

    network, tokenizer = meta(StableAudioDiTModel, shape.network), small_tokenizer()
    width, tokenizer.model_max_length = network.config.cross_attention_input_dim, 128
    text = T5EncoderModel(T5Config(vocab_size=len(tokenizer), **({"d_model": width} | shape.text)))
    pipe = StableAudioPipeline(
        vae=AutoencoderOobleck(8, [2, 5], [1, 2], 8, network.config.in_channels, 2, 44_100),
        text_encoder=text,
        projection_model=StableAudioProjectionModel(width, width, 0, 512),
        tokenizer=tokenizer,
        transformer=network,
        scheduler=CosineDPMSolverMultistepScheduler(sigma_min=0.3, sigma_max=500, solver_order=2),
    )
    return StableAudioGenerator(pipe)


def stable_audio_3(shape: LatentShape) -> StableAudio3Generator:
    """With an autoencoder that is as coarse as the released one (4,096 samples a frame), but of one small layer."""
    import torch
    from diffusers import (
        AutoencoderSAME,
        FlowMatchEulerDiscreteScheduler,
        StableAudio3DiTModel,
        StableAudio3Pipeline,
    )
    from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder
    from transformers import T5GemmaConfig, T5GemmaEncoderModel
    from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig

    from tagxai.generators.diffusers.stable_audio_3 import StableAudio3Generator
    from tagxai.testing.checkpoints import small_tokenizer

    network, tokenizer = meta(StableAudio3DiTModel, shape.network), small_tokenizer()
    torch.nn.init.normal_(network.memory_tokens)
    width, tokenizer.model_max_length = network.config.cond_token_dim, 256
    sizes: dict[str, Any] = {
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "head_dim": 64,
    }
    sizes |= {"hidden_size": width, "intermediate_size": 2048} | shape.text
    one = T5GemmaModuleConfig(vocab_size=len(tokenizer), **sizes)
    config = T5GemmaConfig(encoder=one, decoder=one, is_encoder_decoder=False, vocab_size=len(tokenizer))
    vae = AutoencoderSAME(
        patch_size=256,
        encoder_channels=8,
        encoder_c_mults=(2,),
        encoder_strides=(16,),
        encoder_transformer_depths=(1,),
        latent_dim=network.config.io_channels,
        dim_heads=8,
        sampling_rate=44_100,
    )
    pipe = StableAudio3Pipeline(
        vae=vae,
        text_encoder=T5GemmaEncoderModel(config),
        tokenizer=tokenizer,
        duration_embedder=StableAudio3DurationEmbedder(width, 256, 0.0, 120.0),
        transformer=network,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, stochastic_sampling=True),
    )
    return StableAudio3Generator(pipe)


FEW_STEPS: dict[str, Any] = {"steps": 8, "branch": "conditional", "build": stable_audio_3}  # of distilled checkpoints

LATENT_SHAPES = {
    "stable-audio-open": LatentShape(24, {"num_layers": 24}),  # the rest is the default of diffusers
    "stable-audio-3-small": LatentShape(
        20,
        {"embed_dim": 1024, "depth": 20, "num_heads": 16, "use_differential_attention": False},
        seconds=30.0,
        **FEW_STEPS,
    ),
    "small-latent": LatentShape(
        2,
        {
            "sample_size": 20,
            "num_layers": 2,
            "attention_head_dim": 8,
            "num_attention_heads": 4,
            "num_key_value_attention_heads": 2,
            "cross_attention_dim": 16,
            "time_proj_dim": 16,
            "global_states_input_dim": 64,
            "cross_attention_input_dim": 32,
        },
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4},
        0.2,
    ),
    "small-latent-3": LatentShape(
        2,
        {
            "io_channels": 6,
            "embed_dim": 32,
            "depth": 2,
            "num_heads": 4,
            "cond_token_dim": 32,
            "global_cond_dim": 32,
            "local_add_cond_dim": 7,
            "timestep_features_dim": 16,
            "num_memory_tokens": 3,
            "use_differential_attention": False,
        },
        {
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "hidden_size": 32,
            "intermediate_size": 32,
        },
        **FEW_STEPS,
    ),
}
"""Stable Audio 3 small is as its authors' own MLX version has it: `optimized/mlx/models/defs/dit_mlx.py` of
github.com/Stability-AI/stable-audio-3 at commit 636f906 (the rest is the default of diffusers, which is medium's).
Its attention is not differential."""


def build_latent(shape: LatentShape, dtype: str) -> StableAudioGenerator | StableAudio3Generator:
    """The generator, with only the matrices of its layers in `dtype`, as when tagxai loads a checkpoint."""
    import torch

    from tagxai.generators.diffusers.loading import to_dtype
    from tagxai.generators.parts import quiet

    torch.manual_seed(0)
    with quiet():
        generator = shape.build(shape)
    to_dtype(generator.layers, dtype)
    generator.levels = 1
    return generator
