"""Reading and writing a folder of transformers' MusicGen classes, in safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.conversion.checkpoint import WEIGHTS, Checkpoint, write_tensors
from tagxai.conversion.names import check_names, current_names, expected_tensors
from tagxai.conversion.settings import Sampling, check, text_encoder_name
from tagxai.errors import TagxaiError
from tagxai.generators.parts import quiet
from tagxai.generators.sources import load_from

INDEX = "model.safetensors.index.json"


def read(source: str) -> Checkpoint:
    """From a folder or hub id of transformers' MusicGen classes. Raises TagxaiError."""
    layout = "in transformers format"
    return load_from(source, _read, what="a MusicGen model", layout=layout, needs=("config.json",))


def _read(source: str, **hub: Any) -> Checkpoint:
    from transformers import AutoTokenizer, GenerationConfig, MusicgenConfig

    if hub:
        from huggingface_hub import snapshot_download

        source = snapshot_download(source, allow_patterns=["*.json", "*.safetensors", "*.model"], **hub)
    folder = Path(source)
    if not _sharded(folder) and not (folder / WEIGHTS).is_file():
        raise TagxaiError(f"folder {source!r} does not hold a MusicGen model in safetensors: it has no {WEIGHTS}")
    with quiet():
        config = MusicgenConfig.from_pretrained(source)
        tokenizer = AutoTokenizer.from_pretrained(source)
        has_generation = (folder / "generation_config.json").is_file()
        generation = GenerationConfig.from_pretrained(source) if has_generation else GenerationConfig()
    if config.model_type != "musicgen":
        raise TagxaiError(f"{source!r} holds a {config.model_type}, not a MusicGen model")
    check(config)
    shards = sorted(set(storage.read_json(folder / INDEX)["weight_map"].values())) if _sharded(folder) else [WEIGHTS]
    state: dict[str, Any] = {}
    for shard in shards:
        state |= storage.read_tensors(folder / Path(shard).name)
    state = current_names(state)
    sampling = Sampling(
        guidance_scale=float(generation.guidance_scale or Sampling.guidance_scale),
        text_encoder=text_encoder_name(config),
    )
    check_names(f"model {source!r}", state, set(expected_tensors(config)))
    return Checkpoint(config, state, tokenizer, sampling)


def _sharded(folder: Path) -> bool:
    return (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file()


def write(checkpoint: Checkpoint, folder: Path) -> None:
    from transformers import GenerationConfig

    config = checkpoint.config
    config.architectures = ["MusicgenForConditionalGeneration"]
    config.dtype = str(checkpoint.state["decoder.lm_heads.0.weight"].dtype).removeprefix("torch.")
    pad, delay = config.decoder.pad_token_id, (config.decoder.num_codebooks - 1) // config.decoder.audio_channels
    generation = GenerationConfig(
        do_sample=True,
        guidance_scale=checkpoint.sampling.guidance_scale,
        top_k=250,
        max_new_tokens=config.decoder.max_position_embeddings - delay,
        bos_token_id=pad,
        pad_token_id=pad,
        decoder_start_token_id=pad,
    )
    with quiet():
        config.save_pretrained(folder)
        generation.save_pretrained(folder)
        checkpoint.tokenizer.save_pretrained(folder)
    write_tensors(folder / WEIGHTS, checkpoint.state)
