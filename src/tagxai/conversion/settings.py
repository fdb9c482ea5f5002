"""How the settings of the two formats correspond, and which models both can hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tagxai.errors import TagxaiError, UnsupportedError

TEXT_FOLDER = "t5"
# Text encoders that audiocraft knows by name: a converted model keeps that name.
T5 = re.compile(r"t5-(small|base|large|3b|11b)|google/flan-t5-(small|base|large|xl|xxl)")

# Each name of audiocraft's, and transformers' name for the same.
DECODER = {
    "dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "num_layers": "num_hidden_layers",
    "n_q": "num_codebooks",
    "card": "vocab_size",
}
SEANET = {
    "dimension": "hidden_size",
    "channels": "audio_channels",
    "n_filters": "num_filters",
    "n_residual_layers": "num_residual_layers",
    "ratios": "upsampling_ratios",
    "norm": "norm_type",
    "kernel_size": "kernel_size",
    "last_kernel_size": "last_kernel_size",
    "residual_kernel_size": "residual_kernel_size",
    "dilation_base": "dilation_growth_rate",
    "causal": "use_causal_conv",
    "pad_mode": "pad_mode",
    "compress": "compress",
    "lstm": "num_lstm_layers",
}
# Settings that MusicGen's classes in transformers fix: their value there, and audiocraft's default.
FIXED: dict[str, tuple[Any, Any]] = {
    "transformer_lm.causal": (True, False),
    "transformer_lm.norm": ("layer_norm", "layer_norm"),
    "transformer_lm.norm_first": (True, False),
    "transformer_lm.activation": ("gelu", "relu"),
    "transformer_lm.layer_scale": (None, None),
    "transformer_lm.bias_ff": (False, True),
    "transformer_lm.bias_attn": (False, True),
    "transformer_lm.bias_proj": (False, True),
    "transformer_lm.qk_layer_norm": (False, False),
    "transformer_lm.qk_layer_norm_cross": (False, False),
    "transformer_lm.kv_repeat": (1, 1),
    "transformer_lm.past_context": (None, None),
    "transformer_lm.positional_embedding": ("sin", "sin"),
    "transformer_lm.positional_scale": (1.0, 1.0),
    "transformer_lm.max_period": (10_000, 10_000),
    "codebooks_pattern.modeling": ("delay", "delay"),
    "codebooks_pattern.delay.flatten_first": (0, 0),
    "codebooks_pattern.delay.empty_initial": (0, 0),
    "fuser.sum": ([], []),
    "fuser.prepend": ([], []),
    "fuser.input_interpolate": ([], []),
    "fuser.cross_attention_pos_emb": (False, False),
}
FIXED_CODEC: dict[str, tuple[Any, Any]] = {
    "compression_model": ("encodec", "encodec"),
    "encodec.autoencoder": ("seanet", "seanet"),
    "encodec.quantizer": ("rvq", "rvq"),
    "seanet.activation": ("ELU", "ELU"),
    "seanet.activation_params": ({"alpha": 1.0}, {"alpha": 1.0}),
    "seanet.norm": ("weight_norm", "none"),
    "seanet.disable_norm_outer_blocks": (0, 0),
    "seanet.encoder": ({}, {}),
    "seanet.decoder.final_activation": (None, None),
}


@dataclass(frozen=True)
class Sampling:
    """Settings that both formats record, although no layer of the model depends on them."""

    guidance_scale: float = 3.0
    text_encoder: str = TEXT_FOLDER  # a name of audiocraft's, or the folder beside the checkpoint


def text_encoder_name(config: Any) -> str:
    """The name that audiocraft knows the text encoder by, or that of the folder beside the checkpoint."""
    name = getattr(config.text_encoder, "_name_or_path", "") or ""
    return name if T5.fullmatch(name) else TEXT_FOLDER


def check(config: Any) -> None:
    """Raises TagxaiError where the parts do not fit, or where one of the two formats could not hold the model."""
    text, codec, decoder = config.text_encoder, config.audio_encoder, config.decoder
    if text.model_type != "t5" or codec.model_type != "encodec":
        raise UnsupportedError(
            f"this model has a {text.model_type} and a {codec.model_type}; only a T5 and an EnCodec can be converted"
        )
    each = decoder.num_codebooks / decoder.audio_channels
    for what, has, wants in (
        ("codebooks", codec.num_quantizers, each),
        ("codes in a codebook", codec.codebook_size, decoder.vocab_size),
    ):
        if has != wants:
            raise TagxaiError(f"codec and language model do not fit: {has} and {wants:g} {what}")
    held = {
        "a codec of several channels": codec.audio_channels != 1,
        "a codec whose codes are of another width": codec.codebook_dim != codec.hidden_size,
        "a codec without weight norm": codec.norm_type != "weight_norm",
        "a codec that works in chunks": codec.chunk_length_s is not None,
        "a codec without LSTM": codec.num_lstm_layers < 1,
        "a frame that is not a whole number of samples": codec.sampling_rate % codec.hop_length != 0,
        "scaled embeddings": decoder.scale_embedding,
        "another activation than gelu": decoder.activation_function != "gelu",
        "another start than the code after the last": decoder.pad_token_id != decoder.vocab_size,
        "text and decoder of one width, and so no projection": text.hidden_size == decoder.hidden_size,
        "a cross_attention_hidden_size": decoder.cross_attention_hidden_size is not None,
    }
    wrong = [feature for feature, is_used in held.items() if is_used]
    if wrong:
        raise UnsupportedError(f"this model has {', '.join(wrong)}, which only one of the two formats can hold")
