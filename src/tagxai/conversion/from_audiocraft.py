"""transformers' settings from audiocraft's, or a sentence why they have none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tagxai.conversion.settings import DECODER, FIXED, FIXED_CODEC, SEANET, T5, TEXT_FOLDER, Sampling
from tagxai.conversion.xp_cfg import Settings, get
from tagxai.errors import UnsupportedError


def text_condition(config: Settings) -> tuple[str, Settings]:
    """The one condition, which must be a T5: its name, and its settings."""
    conditions = {name: value for name, value in config.get("conditioners", {}).items() if name != "args"}
    kinds = {name: value.get("model") for name, value in conditions.items()}
    if list(kinds.values()) != ["t5"] or config.get("lm_model") != "transformer_lm":
        raise UnsupportedError(
            f"this audiocraft model is a {config.get('lm_model')} with the conditions {kinds}; MusicGen's classes hold "
            "a transformer_lm with one T5 text"
        )
    (name,) = conditions
    if get(config, "fuser.cross") != [name]:
        raise UnsupportedError("this audiocraft model does not read its text by cross-attention alone")
    if conditions[name]["t5"].get("normalize_text"):
        raise UnsupportedError("this audiocraft model has normalize_text, which tagxai does not support")
    return name, conditions[name]["t5"]


def decoder_settings(config: Settings) -> Settings:
    """The arguments of a `MusicgenDecoderConfig`."""
    _check_fixed(config, FIXED)
    decoder = {theirs: get(config, f"transformer_lm.{ours}") for ours, theirs in DECODER.items()}
    channels = 2 if get(config, "interleave_stereo_codebooks.use", False) else 1
    if channels == 2 and get(config, "interleave_stereo_codebooks.per_timestep", False):
        raise UnsupportedError("this audiocraft model has left and right interleaved in time, not over the codebooks")
    delays = get(config, "codebooks_pattern.delay.delays", list(range(decoder["num_codebooks"])))
    if delays != [q // channels for q in range(decoder["num_codebooks"])]:
        raise UnsupportedError(f"this audiocraft model has the delays {delays}, which MusicGen's classes cannot hold")
    return decoder | {
        "ffn_dim": int(get(config, "transformer_lm.hidden_scale", 4) * decoder["hidden_size"]),
        "dropout": get(config, "transformer_lm.dropout", 0.1),
        "audio_channels": channels,
        "pad_token_id": decoder["vocab_size"],
        "bos_token_id": decoder["vocab_size"],
    }


def codec_settings(config: Settings) -> Settings:
    """The arguments of an `EncodecConfig`."""
    _check_fixed(config, FIXED_CODEC)
    codec = {theirs: get(config, f"seanet.{ours}") for ours, theirs in SEANET.items()}
    active, codebooks = config.get("compression_model_n_q"), get(config, "rvq.n_q")
    if active not in (None, codebooks):
        raise UnsupportedError(f"this audiocraft codec uses {active} of its {codebooks} codebooks")
    sample_rate, cardinality = get(config, "encodec.sample_rate"), get(config, "rvq.bins")
    frame_rate = math.ceil(sample_rate / math.prod(codec["upsampling_ratios"]))
    bits = math.ceil(math.log2(cardinality))
    bandwidth = codebooks * bits * frame_rate / 1000
    while 1000 * bandwidth // (frame_rate * bits) < codebooks:  # how transformers counts codebooks back
        bandwidth = math.nextafter(bandwidth, math.inf)
    return codec | {
        "sampling_rate": sample_rate,
        "normalize": get(config, "encodec.renormalize", False),
        "use_conv_shortcut": not get(config, "seanet.true_skip", True),
        "trim_right_ratio": get(config, "seanet.decoder.trim_right_ratio", 1.0),
        "codebook_size": cardinality,
        "codebook_dim": codec["hidden_size"],
        "target_bandwidths": [bandwidth],
    }


def sampling(config: Settings) -> Sampling:
    name = text_condition(config)[1]["name"]
    return Sampling(
        guidance_scale=float(get(config, "classifier_free_guidance.inference_coef", 3.0)),
        text_encoder=name if T5.fullmatch(name) else TEXT_FOLDER,
    )


def _check_fixed(config: Settings, fixed: Mapping[str, tuple[Any, Any]]) -> None:
    for path, (only, default) in fixed.items():
        found = get(config, path, default)
        found = default if found is None else found
        if found != only and (found or only):  # None, 0 and False mean the same
            raise UnsupportedError(
                f"this audiocraft model has {path} = {found!r}; MusicGen's classes hold only {only!r}"
            )
