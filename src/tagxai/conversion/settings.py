"""audiocraft's `xp.cfg` and transformers' MusicGen configuration, each from the other, or a sentence why not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tagxai.conversion.names import CONDITION
from tagxai.errors import TagxaiError, UnsupportedError

Settings = dict[str, Any]

TEXT_FOLDER = "t5"
# Text encoders that audiocraft knows by name: a converted model goes on using that name.
_T5 = re.compile(r"t5-(small|base|large|3b|11b)|google/flan-t5-(small|base|large|xl|xxl)")

# Each name of audiocraft's, and transformers' name for the same.
_DECODER = {
    "dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "num_layers": "num_hidden_layers",
    "n_q": "num_codebooks",
    "card": "vocab_size",
}
_SEANET = {
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
# What MusicGen's classes in transformers always do; and what audiocraft does where the setting is absent.
_FIXED: dict[str, tuple[Any, Any]] = {
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
_FIXED_CODEC: dict[str, tuple[Any, Any]] = {
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
    """What neither model's layers know, but both formats record."""

    guidance_scale: float = 3.0
    text_encoder: str = TEXT_FOLDER  # a name of audiocraft's, or the folder beside the checkpoint


# -- from audiocraft -------------------------------------------------------------------------------------------------


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
    """Of a `MusicgenDecoderConfig`."""
    _check_fixed(config, _FIXED)
    decoder = {theirs: get(config, f"transformer_lm.{ours}") for ours, theirs in _DECODER.items()}
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
    """Of an `EncodecConfig`."""
    _check_fixed(config, _FIXED_CODEC)
    codec = {theirs: get(config, f"seanet.{ours}") for ours, theirs in _SEANET.items()}
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
        text_encoder=name if _T5.fullmatch(name) else TEXT_FOLDER,
    )


def _check_fixed(config: Settings, fixed: Mapping[str, tuple[Any, Any]]) -> None:
    for path, (only, default) in fixed.items():
        found = get(config, path, default)
        found = default if found is None else found
        if found != only and (found or only):  # nothing, 0 and False are one
            raise UnsupportedError(
                f"this audiocraft model has {path} = {found!r}; MusicGen's classes hold only {only!r}"
            )


# -- to audiocraft ---------------------------------------------------------------------------------------------------


def audiocraft_config(config: Any, values: Sampling) -> Settings:
    """One `xp.cfg` for both files, of which audiocraft's builders make the model."""
    decoder, codec = config.decoder, config.audio_encoder
    width, channels = decoder.hidden_size, decoder.audio_channels
    delays = [q // channels for q in range(decoder.num_codebooks)]
    frame_rate = codec.sampling_rate / codec.hop_length
    fixed: Settings = {}
    for path, (only, _) in (_FIXED | _FIXED_CODEC).items():
        _put(fixed, path, only)
    sizes = {ours: getattr(decoder, theirs) for ours, theirs in _DECODER.items()}
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
    fixed["seanet"] |= {ours: _plain(getattr(codec, theirs)) for ours, theirs in _SEANET.items()}
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


def text_encoder_name(config: Any) -> str:
    """The name that audiocraft knows the text encoder by, or that of the folder beside the checkpoint."""
    name = getattr(config.text_encoder, "_name_or_path", "") or ""
    return name if _T5.fullmatch(name) else TEXT_FOLDER


def _scale(inner: int, width: int) -> float:
    """What audiocraft multiplies `width` by, and rounds down, to get `inner`."""
    scale = inner / width
    while int(scale * width) < inner:
        scale = math.nextafter(scale, math.inf)
    return _whole(scale)


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


# -- what both must keep ---------------------------------------------------------------------------------------------


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


# -- reading xp.cfg --------------------------------------------------------------------------------------------------

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_MISSING = object()


def parse(text: Any, file: str) -> Settings:
    """The YAML of an `xp.cfg`, as plain values, with what refers to other settings (`${sample_rate}`) filled in."""
    import yaml

    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, AttributeError, TypeError):
        config = None
    if not isinstance(config, dict):
        raise TagxaiError(f"xp.cfg of {file} is not the YAML of settings")
    return config


def get(config: Settings, path: str, default: Any = _MISSING, *, depth: int = 0) -> Any:
    """The setting at `a.b.c`. Raises TagxaiError where there is none and no default."""
    value: Any = config
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            if default is _MISSING:
                raise TagxaiError(f"xp.cfg has no {path}")
            return default
        value = value[name]
    if isinstance(value, str) and (match := _REFERENCE.fullmatch(value)):
        if depth > 8:
            raise TagxaiError(f"xp.cfg refers in a circle at {path}")
        return get(config, match[1], default, depth=depth + 1)
    return value


def _put(config: Settings, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[name] = value.copy() if isinstance(value, dict | list) else value
