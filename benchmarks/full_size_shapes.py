"""Models of the released sizes with random weights, built in place: what `full_size.py` measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from tagxai.generators.transformers.model import TransformersGenerator


@dataclass(frozen=True)
class Shape:
    """The sizes of decoder, text encoder and codec."""

    layers: int
    width: int
    heads: int
    text: dict[str, int]
    codec: dict[str, Any]
    vocabulary: int = 2048
    codebooks: int = 4
    seconds: float = 5.0


T5_LARGE = {"d_model": 1024, "d_kv": 64, "d_ff": 4096, "num_layers": 24, "num_heads": 16}
T5_BASE = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
T5_TINY = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 100}
ENCODEC = {"num_filters": 64, "hidden_size": 128, "codebook_dim": 128, "num_lstm_layers": 2}
ENCODEC_16K = ENCODEC | {"sampling_rate": 16_000, "upsampling_ratios": [8, 5, 4, 2]}
ENCODEC_32K = ENCODEC | {"sampling_rate": 32_000, "upsampling_ratios": [8, 5, 4, 4]}
TINY_CODEC = ENCODEC_16K | {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16, "num_lstm_layers": 1}
SHAPES = {
    "audiogen-medium": Shape(48, 1536, 24, T5_LARGE, ENCODEC_16K),
    "musicgen-small": Shape(24, 1024, 16, T5_BASE, ENCODEC_32K),
    "small": Shape(2, 64, 4, T5_TINY, TINY_CODEC, vocabulary=64, seconds=0.2),
}


def build(shape: Shape, dtype: str) -> TransformersGenerator:
    """Build the model directly in `dtype`; as when tagxai loads a checkpoint, only the decoder's matrices are lower.

    In int8, it is built in float32 first, and then rounded.
    """
    if dtype == "int8":
        from tagxai.generators.quantised import keep_in_eight_bits

        rounded = build(shape, "float32")
        keep_in_eight_bits(rounded)
        return rounded
    import torch
    from transformers import (
        EncodecConfig,
        EncodecModel,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )
    from transformers.initialization import no_init_weights

    from tagxai.generators.parts import quiet
    from tagxai.generators.transformers.model import EXACT, TransformersGenerator
    from tagxai.testing.checkpoints import small_tokenizer

    bits = (shape.vocabulary - 1).bit_length()
    with quiet():  # one code more than the vocabulary is right: it stands where the pattern has none
        codec = EncodecConfig(
            codebook_size=shape.vocabulary,
            target_bandwidths=[shape.codebooks * bits * 50 / 1000],
            use_causal_conv=False,
            **shape.codec,
        )
        decoder = MusicgenDecoderConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            ffn_dim=4 * shape.width,
            num_codebooks=shape.codebooks,
            pad_token_id=shape.vocabulary,
            bos_token_id=shape.vocabulary,
            max_position_embeddings=1536,  # 30 s of the released models
            dropout=0.0,
        )
        text = T5Config(**shape.text)
        config = MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict())
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(getattr(torch, dtype))
        with quiet(), no_init_weights():
            model = MusicgenForConditionalGeneration(config)
            model.tie_weights()
    finally:
        torch.set_default_dtype(default)
    for name, module in model.named_modules():
        if name.rpartition(".")[2].endswith(tuple(EXACT)):
            module.float()
    torch.manual_seed(0)
    fill(model)
    with quiet():
        model.audio_encoder = EncodecModel(codec)  # its own first weights keep the sound finite
    return TransformersGenerator(model, small_tokenizer())


def fill(model: torch.nn.Module) -> None:
    """Fill matrices from one repeated block of normal numbers: drawing 2 billion would take longer than a pass."""
    import torch

    block = torch.randn((1 << 22) - 3)  # odd, so that rows differ
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                weight.fill_(1.0 if name.endswith("norm.weight") else 0.0)
                continue
            flat, scaled = weight.view(-1), (block * weight.shape[-1] ** -0.5).to(weight.dtype)
            for start in range(0, len(flat), len(scaled)):
                part = flat[start : start + len(scaled)]
                part.copy_(scaled[: len(part)])
