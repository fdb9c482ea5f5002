"""Reading and writing audiocraft's two files. Only tensors and text are read: nothing in a file is executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.conversion import from_audiocraft, xp_cfg
from tagxai.conversion.checkpoint import WEIGHTS, Checkpoint, alone, write_tensors
from tagxai.conversion.names import CONDITION, File, check_names, expected_tensors, to_audiocraft, to_transformers
from tagxai.conversion.settings import TEXT_FOLDER, check
from tagxai.conversion.to_audiocraft import audiocraft_config
from tagxai.errors import TagxaiError
from tagxai.generators.audiocraft.checkpoints import CODEC, LANGUAGE_MODEL, check_seconds, read_package
from tagxai.generators.parts import quiet
from tagxai.generators.sources import load_from, load_from_hub
from tagxai.lazy import torch


def read(source: str) -> Checkpoint:
    """From a folder or hub id with audiocraft's two files. The T5 comes from where their `xp.cfg` says. TagxaiError."""
    layout = f"with audiocraft's {LANGUAGE_MODEL} and {CODEC}"
    needs = (LANGUAGE_MODEL, CODEC)
    return load_from(source, _read, what="an audiocraft model", layout=layout, needs=needs)


def _read(source: str, **hub: Any) -> Checkpoint:
    from transformers import EncodecConfig, MusicgenConfig, MusicgenDecoderConfig

    folder = None if hub else Path(source)
    packages = {name: read_package(source, name, folder, **hub) for name in (LANGUAGE_MODEL, CODEC)}
    with _named(LANGUAGE_MODEL):
        package = packages[LANGUAGE_MODEL]
        lm = xp_cfg.parse(package["xp.cfg"], LANGUAGE_MODEL)
        condition, _ = from_audiocraft.text_condition(lm)
        decoder = from_audiocraft.decoder_settings(lm)
        sampling = from_audiocraft.sampling(lm)
        rate, seconds = xp_cfg.get(lm, "sample_rate", None), xp_cfg.get(lm, "dataset.segment_duration")
        check_seconds(seconds)
    with _named(CODEC):
        if "pretrained" in packages[CODEC]:
            codec, codec_state = _read_encodec(packages[CODEC]["pretrained"], folder)
        else:
            codec = EncodecConfig(**from_audiocraft.codec_settings(xp_cfg.parse(packages[CODEC]["xp.cfg"], CODEC)))
            codec_state = packages[CODEC]["best_state"]
    if rate not in (None, codec.sampling_rate):
        raise TagxaiError(f"codec and language model do not fit: {codec.sampling_rate} and {rate} Hz of sample rate")
    text, text_state, tokenizer = _read_text_encoder(from_audiocraft.text_condition(lm)[1]["name"], folder)
    text._name_or_path = sampling.text_encoder if sampling.text_encoder != TEXT_FOLDER else ""
    delay = (decoder["num_codebooks"] - 1) // decoder["audio_channels"]
    steps = int(seconds * codec.sampling_rate / codec.hop_length + 1e-6) + delay
    with quiet():  # transformers warns of MusicGen's own start code
        config = MusicgenConfig(
            text_encoder=text.to_dict(),
            audio_encoder=codec.to_dict(),
            decoder=MusicgenDecoderConfig(**decoder, max_position_embeddings=steps).to_dict(),
        )
    check(config)
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
def _named(file: str) -> Iterator[None]:
    """Name the file in errors about its content."""
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


def write(checkpoint: Checkpoint, folder: Path) -> None:
    import yaml

    config = audiocraft_config(checkpoint.config, checkpoint.sampling)
    text = yaml.safe_dump(config, sort_keys=False, default_flow_style=None)
    files = to_audiocraft(checkpoint.state, expected_tensors(checkpoint.config))
    for name, tensors in ((LANGUAGE_MODEL, files["language model"]), (CODEC, files["codec"])):
        state = {key: alone(tensor) for key, tensor in tensors.items()}
        torch.save({"best_state": state, "xp.cfg": text, "version": "1.3.0", "exported": True}, folder / name)
    place = folder / checkpoint.sampling.text_encoder
    place.mkdir(parents=True)
    text_config = checkpoint.config.text_encoder
    text_config.architectures, text_config._name_or_path = ["T5EncoderModel"], ""
    with quiet():
        text_config.save_pretrained(place)
        checkpoint.tokenizer.save_pretrained(place)
    write_tensors(place / WEIGHTS, files["text encoder"])
