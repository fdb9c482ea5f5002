"""audiocraft's settings from transformers'."""

from __future__ import annotations

import math
from typing import Any

from tagxai.conversion.names import CONDITION
from tagxai.conversion.settings import DECODER, FIXED, FIXED_CODEC, SEANET, Sampling
from tagxai.conversion.xp_cfg import Settings, put


def audiocraft_config(config: Any, values: Sampling) -> Settings:
    """One `xp.cfg` for both files, from which audiocraft's builders make the model."""
    decoder, codec = config.decoder, config.audio_encoder
    width, channels = decoder.hidden_size, decoder.audio_channels
    delays = [q // channels for q in range(decoder.num_codebooks)]
    frame_rate = codec.sampling_rate / codec.hop_length
    fixed: Settings = {}
    for path, (only, _) in (FIXED | FIXED_CODEC).items():
        put(fixed, path, only)
    sizes = {ours: getattr(decoder, theirs) for ours, theirs in DECODER.items()}
    fixed["transformer_lm"] |= sizes | {
        "hidden_scale": _scale(decoder.ffn_dim, width),
        "dropout": decoder.dropout,
        "attention_dropout": None,
        "cross_attention": False,  # audiocraft turns it on where the fuser has a condition for it
        "custom": False,
        "memory_efficient": True,
        "attention_as_float32": False,
        "checkpointing": "none",
        "xpos": False,
        "two_step_cfg": False,
        "emb_lr": None,
        "weight_init": None,
        "depthwise_init": None,
        "zero_bias_init": False,
    }
    fixed["codebooks_pattern"]["delay"]["delays"] = delays
    fixed["fuser"] |= {"cross": [CONDITION], "cross_attention_pos_emb_scale": 1}
    fixed["interleave_stereo_codebooks"] = {"use": channels == 2, "per_timestep": False}
    fixed["encodec"] |= {
        "sample_rate": codec.sampling_rate,
        "channels": codec.audio_channels,
        "causal": codec.use_causal_conv,
        "renormalize": codec.normalize,
    }
    fixed["seanet"] |= {ours: _plain(getattr(codec, theirs)) for ours, theirs in SEANET.items()}
    fixed["seanet"] |= {"true_skip": not codec.use_conv_shortcut, "norm_params": {}}
    fixed["seanet"]["decoder"] |= {"trim_right_ratio": codec.trim_right_ratio, "final_activation_params": None}
    steps = decoder.max_position_embeddings - max(delays)
    return fixed | {
        "device": "cpu",
        "dtype": "float32",
        "sample_rate": codec.sampling_rate,
        "channels": channels,
        "dataset": {"segment_duration": _whole(steps / frame_rate)},
        "lm_model": "transformer_lm",
        "classifier_free_guidance": {"training_dropout": 0.1, "inference_coef": values.guidance_scale},
        "attribute_dropout": {},
        "conditioners": {
            CONDITION: {
                "model": "t5",
                "t5": {
                    "name": values.text_encoder,
                    "finetune": False,
                    "word_dropout": 0.0,
                    "normalize_text": False,
                },
            }
        },
        "rvq": {
            "n_q": codec.num_quantizers,
            "bins": codec.codebook_size,
            "q_dropout": False,
            "decay": 0.99,
            "kmeans_init": False,
            "kmeans_iters": 50,
            "threshold_ema_dead_code": 2,
            "orthogonal_reg_weight": 0.0,
            "orthogonal_reg_active_codes_only": False,
        },
    }


def _scale(inner: int, width: int) -> float:
    """The factor that audiocraft multiplies `width` by, and rounds down, to get `inner`."""
    scale = inner / width
    while int(scale * width) < inner:
        scale = math.nextafter(scale, math.inf)
    return _whole(scale)


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
