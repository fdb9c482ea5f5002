"""What a model of audiocraft may have: everything that would make an explanation wrong is refused."""

from __future__ import annotations

from typing import Any

from tagxai.errors import UnsupportedError
from tagxai.generators.parts import check_fit


def check_supported(lm: Any, codec: Any) -> None:
    """Raises UnsupportedError naming everything in the model that would make an explanation wrong."""
    from audiocraft.modules.codebooks_patterns import DelayedPatternProvider
    from audiocraft.modules.conditioners import T5Conditioner
    from audiocraft.modules.transformer import StreamingMultiheadAttention

    attention = [module for module in lm.modules() if isinstance(module, StreamingMultiheadAttention)]
    own = [module for module in attention if not module.cross_attention]
    cross = [module for module in attention if module.cross_attention]
    pattern, conditioners = lm.pattern_provider, list(lm.condition_provider.conditioners.values())
    is_text = len(conditioners) == 1 and isinstance(conditioners[0], T5Conditioner)
    found = {
        "rotary positions (rope)": any(module.rope is not None for module in attention),
        "qk_layer_norm": any(module.qk_layer_norm for module in attention),
        "kv_repeat": any(module.kv_repeat != 1 for module in attention),
        "a limited past_context": any(module.past_context is not None for module in attention),
        "attention without custom or memory_efficient": not all(module.custom for module in attention),
        "a decoder that is not causal": not all(module.causal for module in own),
        "no cross-attention": not cross,
        # With a bias, attention to nothing is not the unconditional branch.
        "biases in cross-attention": any(getattr(module, "in_proj_bias", None) is not None for module in cross),
        "positions in cross-attention (cross_attention_pos_emb)": lm.fuser.cross_attention_pos_emb,
        "two_step_cfg": lm.two_step_cfg,
        "checkpointing of activations": lm.transformer.checkpointing != "none",  # would run hooks again, too late
        "a codebook pattern other than a plain delay": (
            not isinstance(pattern, DelayedPatternProvider) or bool(pattern.flatten_first or pattern.empty_initial)
        ),
        "conditions other than one T5 text": not is_text,
        "normalize_text": is_text and conditioners[0].normalize_text,
        "codebooks interleaved in time": bool(getattr(codec, "per_timestep", False)),
    }
    fused = [method for method, conditions in lm.fuser.fuse2cond.items() if method != "cross" and list(conditions)]
    wrong = [feature for feature, is_used in found.items() if is_used] + [f"the fuser {method!r}" for method in fused]
    if wrong:
        raise UnsupportedError(f"this audiocraft model has {', '.join(wrong)}, which tagxai does not support")
    if not conditioners[0].t5_tokenizer.is_fast:
        raise UnsupportedError("a fast tokenizer is needed: a slow one gives no character offsets")
    check_fit(
        ("codebooks", codec.num_codebooks, lm.n_q),
        ("codes in a codebook", codec.cardinality, lm.card),
        ("Hz of sample rate", codec.sample_rate, getattr(lm, "cfg", {}).get("sample_rate", codec.sample_rate)),
    )
