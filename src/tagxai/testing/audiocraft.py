"""A small untrained model in audiocraft's own format."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagxai.lazy import torch
from tagxai.testing.checkpoints import small_tokenizer


def random_audiocraft_checkpoint(
    folder: str | Path, *, seed: int = 0, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Path:
    """Write an untrained AudioGen in audiocraft's own format, and its T5 beside it, to `folder`: about 0.8 MB.

    4 codebooks at 25 frames a second, 16 kHz, up to 3 s. `changes` are those to its configuration, such as
    `{"transformer_lm": {"num_layers": 4}}`. Needs audiocraft.
    """
    from audiocraft import __version__
    from audiocraft.models.builders import get_compression_model, get_lm_model
    from omegaconf import OmegaConf
    from transformers import T5Config, T5EncoderModel

    from tagxai.generators.parts import quiet

    target = Path(folder)
    config: Any = OmegaConf.merge(OmegaConf.create(_AUDIOCRAFT_CONFIG), changes or {})
    described, t5_name = config.conditioners, config.conditioners.description.t5.name
    with quiet(), warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = small_tokenizer()
        # 512 is the width that audiocraft takes a T5 of the name t5-small to have.
        text = T5Config(vocab_size=len(tokenizer), d_model=512, d_kv=8, d_ff=32, num_layers=1, num_heads=3)
        T5EncoderModel(text).save_pretrained(target / t5_name)
        tokenizer.save_pretrained(target / t5_name)
        projection = torch.nn.Linear(text.d_model, config.transformer_lm.dim)
        config.conditioners = {}  # audiocraft would look for the T5 on the hub
        language_model = get_lm_model(config).state_dict()
        codec = get_compression_model(config).state_dict()
    config.conditioners = described
    projected = projection.state_dict(prefix="condition_provider.conditioners.description.output_proj.")
    for name, state in (("state_dict.bin", language_model | projected), ("compression_state_dict.bin", codec)):
        package = {"best_state": dict(state), "xp.cfg": OmegaConf.to_yaml(config)}
        torch.save(package | {"version": __version__, "exported": True}, target / name)
    return target


# The keys of the released models that audiocraft's builders read, with small sizes.
_AUDIOCRAFT_CONFIG = """
device: cpu
dtype: float32
sample_rate: 16000
channels: 1
dataset: {segment_duration: 3}
lm_model: transformer_lm
transformer_lm:
  {dim: 32, num_heads: 4, num_layers: 2, hidden_scale: 2, n_q: 4, card: 64, causal: true, cross_attention: false,
   norm: layer_norm, norm_first: true, activation: gelu, dropout: 0.0, attention_dropout: null, layer_scale: null,
   bias_ff: false, bias_attn: false, bias_proj: false, qk_layer_norm: false, qk_layer_norm_cross: false, kv_repeat: 1,
   custom: false, memory_efficient: true, attention_as_float32: false, past_context: null, checkpointing: none,
   positional_embedding: sin, xpos: false, two_step_cfg: false, emb_lr: null,
   weight_init: gaussian, depthwise_init: current, zero_bias_init: true}
codebooks_pattern: {modeling: delay, delay: {delays: [0, 1, 2, 3], flatten_first: 0, empty_initial: 0}}
classifier_free_guidance: {training_dropout: 0.1, inference_coef: 3.0}
attribute_dropout: {}
conditioners:
  description: {model: t5, t5: {name: t5-small, finetune: false, word_dropout: 0.0, normalize_text: false}}
fuser:
  {cross: [description], sum: [], prepend: [], input_interpolate: [],
   cross_attention_pos_emb: false, cross_attention_pos_emb_scale: 1}
compression_model: encodec
encodec: {autoencoder: seanet, quantizer: rvq, sample_rate: 16000, channels: 1, causal: false, renormalize: false}
seanet:
  {dimension: 16, channels: 1, causal: false, n_filters: 4, n_residual_layers: 1, ratios: [10, 64], compress: 2,
   lstm: 1, activation: ELU, activation_params: {alpha: 1.0}, norm: weight_norm, norm_params: {}, kernel_size: 7,
   residual_kernel_size: 3, last_kernel_size: 7, dilation_base: 2, pad_mode: constant, true_skip: true,
   disable_norm_outer_blocks: 0, encoder: {},
   decoder: {trim_right_ratio: 1.0, final_activation: null, final_activation_params: null}}
rvq:
  {n_q: 4, bins: 64, q_dropout: false, decay: 0.99, kmeans_init: false, kmeans_iters: 50, threshold_ema_dead_code: 2,
   orthogonal_reg_weight: 0.0, orthogonal_reg_active_codes_only: false}
"""
