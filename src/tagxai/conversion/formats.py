"""Reading and writing both formats of a checkpoint. Tensors and text alone are read: nothing in a file is executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.conversion import settings
from tagxai.conversion.names import (
    CONDITION,
    File,
    check_names,
    current_names,
    expected_tensors,
    to_audiocraft,
    to_transformers,
)
from tagxai.errors import TagxaiError
from tagxai.generators.audiocraft.model import CODEC, LANGUAGE_MODEL, check_seconds, read_package
from tagxai.generators.parts import quiet
from tagxai.generators.sources import load_from, load_from_hub
from tagxai.lazy import torch

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class Checkpoint:
    """A model between two formats: transformers' configuration and names of tensors, each tensor as it was stored."""

    config: Any  # MusicgenConfig
    state: Mapping[str, Any]
    tokenizer: Any
    sampling: settings.Sampling


def read_audiocraft(source: str) -> Checkpoint:
    """From a folder or hub id with audiocraft's two files. The T5 comes from where their `xp.cfg` says. TagxaiError."""
    layout = f"with audiocraft's {LANGUAGE_MODEL} and {CODEC}"
    needs = (LANGUAGE_MODEL, CODEC)
    return load_from(source, _read_audiocraft, what="an audiocraft model", layout=layout, needs=needs)


def read_transformers(source: str) -> Checkpoint:
    """From a folder or hub id of transformers' MusicGen classes. Raises TagxaiError."""
    layout = "in transformers format"
    return load_from(source, _read_transformers, what="a MusicGen model", layout=layout, needs=("config.json",))


# -- audiocraft ------------------------------------------------------------------------------------------------------


def _read_audiocraft(source: str, **hub: Any) -> Checkpoint:
    from transformers import EncodecConfig, MusicgenConfig, MusicgenDecoderConfig

    folder = None if hub else Path(source)
    packages = {name: read_package(source, name, folder, **hub) for name in (LANGUAGE_MODEL, CODEC)}
    with _of(LANGUAGE_MODEL):
        package = packages[LANGUAGE_MODEL]
        lm = settings.parse(package["xp.cfg"], LANGUAGE_MODEL)
        condition, _ = settings.text_condition(lm)
        decoder = settings.decoder_settings(lm)
        sampling = settings.sampling(lm)
        rate, seconds = settings.get(lm, "sample_rate", None), settings.get(lm, "dataset.segment_duration")
        check_seconds(seconds)
    with _of(CODEC):
        if "pretrained" in packages[CODEC]:
            codec, codec_state = _read_encodec(packages[CODEC]["pretrained"], folder)
        else:
            codec = EncodecConfig(**settings.codec_settings(settings.parse(packages[CODEC]["xp.cfg"], CODEC)))
            codec_state = packages[CODEC]["best_state"]
    if rate not in (None, codec.sampling_rate):
        raise TagxaiError(f"codec and language model do not fit: {codec.sampling_rate} and {rate} Hz of sample rate")
    text, text_state, tokenizer = _read_text_encoder(settings.text_condition(lm)[1]["name"], folder)
    text._name_or_path = sampling.text_encoder if sampling.text_encoder != settings.TEXT_FOLDER else ""
    delay = (decoder["num_codebooks"] - 1) // decoder["audio_channels"]
    steps = int(seconds * codec.sampling_rate / codec.hop_length + 1e-6) + delay
    with quiet():  # transformers warns of MusicGen's own start code
        config = MusicgenConfig(
            text_encoder=text.to_dict(),
            audio_encoder=codec.to_dict(),
            decoder=MusicgenDecoderConfig(**decoder, max_position_embeddings=steps).to_dict(),
        )
    settings.check(config)
    renamed = {
        name.replace(f".conditioners.{condition}.", f".conditioners.{CONDITION}."): tensor
        for name, tensor in package["best_state"].items()
    }
    expected = expected_tensors(config)
    if "pretrained" in packages[CODEC]:  # its names are transformers' already
        codec_state = {
            place.name: codec_state[name.removeprefix("audio_encoder.")]
            for name, (_, place) in expected.items()
            if place.file == "codec"
        }
    files: dict[File, Mapping[str, Any]] = {
        "language model": renamed,
        "codec": codec_state,
        "text encoder": text_state,
    }
    return Checkpoint(config, to_transformers(files, expected), tokenizer, sampling)


@contextmanager
def _of(file: str) -> Iterator[None]:
    """Says which file it is that does not hold what it should."""
    try:
        yield
    except TagxaiError as error:
        raise type(error)(f"{file} cannot be converted: {error}") from None


def _read_text_encoder(name: str, folder: Path | None) -> tuple[Any, dict[str, Any], Any]:
    """The T5 of that name: a folder beside the checkpoint, another folder, or a hub id."""
    from transformers import AutoTokenizer, T5EncoderModel

    def read(place: str, **hub: Any) -> tuple[Any, dict[str, Any], Any]:
        config, state = _pretrained(T5EncoderModel, place, **hub)
        state.pop("encoder.embed_tokens.weight", None)  # the same tensor as shared.weight
        if (Path(place) / WEIGHTS).is_file():  # as stored: transformers widens parts of a T5 in half precision
            stored = storage.read_tensors(Path(place) / WEIGHTS)
            state = {name: stored.get(name, tensor) for name, tensor in state.items()}
        return config, state, AutoTokenizer.from_pretrained(place, **hub)

    return _near(name, folder, read, "a T5 text encoder")


def _read_encodec(name: str, folder: Path | None) -> tuple[Any, dict[str, Any]]:
    """MusicGen's codec, which its checkpoint only names: an EnCodec in transformers format."""
    from transformers import EncodecModel

    return _near(name, folder, partial(_pretrained, EncodecModel), "an EnCodec model")


def _near(name: str, folder: Path | None, read: Any, what: str) -> Any:
    places = [Path(name).expanduser()] if folder is None else [folder / name, Path(name).expanduser()]
    for place in places:
        if place.is_dir():
            return load_from(str(place), read, what=what, layout="in transformers format", needs=("config.json",))
    return load_from_hub(name, read)


def _pretrained(model_class: Any, place: str, **hub: Any) -> tuple[Any, dict[str, Any]]:
    """Configuration and tensors, each of its own dtype; none that transformers had to make up."""
    with quiet(), torch.random.fork_rng(devices=[]):
        model, loaded = model_class.from_pretrained(place, dtype="auto", output_loading_info=True, **hub)
    check_names(f"{place!r}", {}, set(loaded["missing_keys"]))
    return model.config, model.state_dict()


def write_audiocraft(checkpoint: Checkpoint, folder: Path) -> None:
    import yaml

    config = settings.audiocraft_config(checkpoint.config, checkpoint.sampling)
    text = yaml.safe_dump(config, sort_keys=False, default_flow_style=None)
    files = to_audiocraft(checkpoint.state, expected_tensors(checkpoint.config))
    for name, tensors in ((LANGUAGE_MODEL, files["language model"]), (CODEC, files["codec"])):
        state = {key: _alone(tensor) for key, tensor in tensors.items()}
        torch.save({"best_state": state, "xp.cfg": text, "version": "1.3.0", "exported": True}, folder / name)
    place = folder / checkpoint.sampling.text_encoder
    place.mkdir(parents=True)
    text_config = checkpoint.config.text_encoder
    text_config.architectures, text_config._name_or_path = ["T5EncoderModel"], ""
    with quiet():
        text_config.save_pretrained(place)
        checkpoint.tokenizer.save_pretrained(place)
    _write_tensors(place / WEIGHTS, files["text encoder"])


# -- transformers ----------------------------------------------------------------------------------------------------


def _read_transformers(source: str, **hub: Any) -> Checkpoint:
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
    settings.check(config)
    shards = sorted(set(storage.read_json(folder / INDEX)["weight_map"].values())) if _sharded(folder) else [WEIGHTS]
    state: dict[str, Any] = {}
    for shard in shards:
        state |= storage.read_tensors(folder / Path(shard).name)
    state = current_names(state)
    sampling = settings.Sampling(
        guidance_scale=float(generation.guidance_scale or settings.Sampling.guidance_scale),
        text_encoder=settings.text_encoder_name(config),
    )
    check_names(f"model {source!r}", state, set(expected_tensors(config)))
    return Checkpoint(config, state, tokenizer, sampling)


def _sharded(folder: Path) -> bool:
    return (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file()


def write_transformers(checkpoint: Checkpoint, folder: Path) -> None:
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
    _write_tensors(folder / WEIGHTS, checkpoint.state)


def _write_tensors(path: Path, state: Mapping[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file({name: _alone(tensor) for name, tensor in state.items()}, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors makes files that only their owner can read


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """Without the rest of what it is a view of: with it, each third of a matrix would be written as the whole."""
    whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if whole else tensor.clone(memory_format=torch.contiguous_format)
