"""What a MusicGen folder claims of itself, checked before transformers builds a model of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tagxai.errors import TagxaiError
from tagxai.generators import honesty

_SIZES = {
    "decoder": (
        *("hidden_size", "num_hidden_layers", "num_attention_heads", "ffn_dim", "vocab_size", "num_codebooks"),
        *("audio_channels", "max_position_embeddings"),
    ),
    "text_encoder": ("d_model", "d_kv", "d_ff", "num_layers", "num_heads", "vocab_size"),
    "audio_encoder": ("sampling_rate", "num_filters", "hidden_size", "codebook_size", "codebook_dim", "audio_channels"),
}
_LAYERS = (
    ("decoder", "num_hidden_layers", "decoder.model.decoder.layers"),
    ("text_encoder", "num_layers", "text_encoder.encoder.block"),
)
_SHAPES = (
    ("decoder.model.decoder.layers.0.fc1.weight", "decoder", ("ffn_dim", "hidden_size")),
    ("text_encoder.shared.weight", "text_encoder", ("vocab_size", "d_model")),
    ("text_encoder.encoder.block.0.layer.1.DenseReluDense.wo.weight", "text_encoder", ("d_model", "d_ff")),
    ("audio_encoder.quantizer.layers.0.codebook.embed", "audio_encoder", ("codebook_size", "codebook_dim")),
    ("audio_encoder.encoder.layers.0.conv.parametrizations.weight.original1", "audio_encoder", ("num_filters",)),
    ("audio_encoder.encoder.layers.0.conv.weight_v", "audio_encoder", ("num_filters",)),
)
"""Tensors whose shapes bound what a model of these sizes takes to build."""


def check(folder: Path) -> None:
    """Raises TagxaiError where the files of a folder do not fit one another, or no model could be as they say."""
    config = honesty.read_config(folder)
    for section, keys in _SIZES.items():
        part = config.get(section, {})
        if not isinstance(part, dict):
            raise TagxaiError(f"config.json has {section} = {part!r:.60}; expected a table of settings")
        honesty.check_numbers(part, f"config.json: {section}")
        honesty.check_sizes(part, keys, f"config.json: {section}")
    honesty.check_tokenizer_files(folder)
    honesty.check_readable(folder)
    _check_decoder(config.get("decoder", {}))
    shapes = honesty.tensor_shapes(folder)
    if shapes is not None:
        for section, key, prefix in _LAYERS:
            if (claimed := config.get(section, {}).get(key)) is not None:
                honesty.check_layers(shapes, prefix, claimed, f"config.json: {section}.{key}")
        for name, section, sizes in _SHAPES:
            part = config.get(section, {})
            honesty.check_shape(shapes, name, [part.get(size) for size in sizes], f"config.json: {section}")


def _check_decoder(decoder: dict[str, Any]) -> None:
    pad, codes = decoder.get("pad_token_id"), decoder.get("vocab_size")
    if codes is not None and pad is not None and not (isinstance(pad, int) and 0 <= pad <= codes):
        raise TagxaiError(
            f"config.json: decoder.pad_token_id is {pad!r}; expected one of 0 to {codes}, its codes and one"
        )
    table = 4 * decoder.get("max_position_embeddings", 1) * decoder.get("hidden_size", 1)
    if table > honesty.LARGEST_TABLE:
        raise TagxaiError(
            f"config.json: decoder.max_position_embeddings is {decoder['max_position_embeddings']}, whose table would "
            f"take {table / 1e9:.0f} GB"
        )
