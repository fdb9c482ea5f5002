"""Reading audiocraft's checkpoints: its own builders, but nothing is unpickled to objects."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Mapping
from functools import partial
from math import inf
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from tagxai.contract.whole_weights import read_whole
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators import honesty
from tagxai.generators.audiocraft import claims
from tagxai.generators.parts import quiet
from tagxai.generators.sources import first_line, load_from, load_from_hub
from tagxai.lazy import torch

LANGUAGE_MODEL, CODEC = "state_dict.bin", "compression_state_dict.bin"


# -- reading checkpoints ---------------------------------------------------------------------------------------------


def import_audiocraft(name: str) -> None:
    log = logging.getLogger("xformers")  # says at length that it has no fast kernels; torch's own are used
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        import audiocraft.models  # noqa: F401
    except ImportError as error:
        raise TagxaiError(
            f"generator {name!r} needs audiocraft ({first_line(error)}), the extra tagxai[audiocraft]: "
            "`uv sync --extra audiocraft` in a checkout; README says how with pip, which cannot lift its pins"
        ) from None
    finally:
        log.setLevel(level)


def load_models(source: str, *, device: str, dtype: str, **hub: Any) -> tuple[Any, Any, float]:
    """Language model, codec and longest clip: audiocraft's builders, but nothing is unpickled to objects."""
    from audiocraft.models.builders import get_wrapped_compression_model

    folder = None if hub else Path(source)
    with quiet(), warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):  # built at random first
        packages = [read_package(source, name, folder, **hub) for name in (LANGUAGE_MODEL, CODEC)]
        with honesty.named(source):
            claims.check(packages[0], packages[1], folder)
        lm = _language_model(packages[0], folder, device)
        codec = get_wrapped_compression_model(_codec(packages[1], folder), lm.cfg)
        _lower(lm.transformer, getattr(torch, dtype))
        return lm.to(device), codec.to(device), check_seconds(lm.cfg.dataset.segment_duration)


def check_seconds(found: Any) -> float:
    """`dataset.segment_duration` of an xp.cfg. Raises TagxaiError where no clip is of that length."""
    if not (isinstance(found, int | float) and 0 < found < inf):
        raise TagxaiError(
            f"xp.cfg of {LANGUAGE_MODEL} has dataset.segment_duration = {found!r}; expected seconds above 0"
        )
    return float(found)


def read_package(source: str, name: str, folder: Path | None, **hub: Any) -> Mapping[str, Any]:
    if folder is None:
        from huggingface_hub import hf_hub_download

        path = Path(hf_hub_download(source, name, **hub))
    else:
        path = folder / name
    try:
        with warnings.catch_warnings(action="ignore"):
            # Mapped, a file's tensors need no memory of their own beside the model's; files of old pickles cannot be.
            package = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except pickle.UnpicklingError:
        raise TagxaiError(
            f"{name} of {source!r} is refused: it is not a plain file of tensors and text, and reading anything else "
            "could run code"
        ) from None
    except Exception as error:  # what torch makes of a file that is cut short, or not its own, has many names
        raise TagxaiError(f"{name} of {source!r} is damaged and cannot be read ({type(error).__name__})") from None
    exported = isinstance(package, dict) and {"best_state", "xp.cfg"} <= set(package)
    if not (exported or (name == CODEC and isinstance(package, dict) and isinstance(package.get("pretrained"), str))):
        raise TagxaiError(f"{name} of {source!r} is not an exported audiocraft model: no 'best_state' and 'xp.cfg'")
    return package


def _language_model(package: Mapping[str, Any], folder: Path | None, device: str) -> Any:
    from audiocraft.models.builders import get_lm_model
    from omegaconf import OmegaConf

    config: Any = OmegaConf.create(package["xp.cfg"])
    conditioners: Any = OmegaConf.to_container(config.conditioners, resolve=True)
    conditioners.pop("args", None)
    kinds = {name: settings["model"] for name, settings in conditioners.items()}
    if list(kinds.values()) != ["t5"] or config.lm_model != "transformer_lm":
        raise UnsupportedError(
            f"this audiocraft model is a {config.lm_model} with the conditions {kinds}; tagxai supports a "
            "transformer_lm with one T5 text"
        )
    (name,) = conditioners
    config.device, config.dtype, config.conditioners = "cpu", "float32", {}
    config.transformer_lm.update({"weight_init": None, "depthwise_init": None, "zero_bias_init": False})  # not trained
    config.transformer_lm.checkpointing = "none"
    lm: Any = get_lm_model(config)
    lm.condition_provider.conditioners[name] = _conditioner(conditioners[name]["t5"], lm.dim, folder, device)
    lm.cfg = config
    return _filled(lm, package, LANGUAGE_MODEL)


def _conditioner(settings: dict[str, Any], width: int, folder: Path | None, device: str) -> Any:
    """A `T5Conditioner` with a T5 of any name: a folder beside the checkpoint, another folder, or a hub id."""
    from audiocraft.modules.conditioners import T5Conditioner
    from transformers import AutoConfig, AutoTokenizer, T5EncoderModel

    if settings.get("normalize_text"):  # it would download a spaCy model
        raise UnsupportedError("this audiocraft model has normalize_text, which tagxai does not support")

    def build(name: str, **hub: Any) -> Any:
        dim = AutoConfig.from_pretrained(name, **hub).d_model
        with quiet():
            read_whole(T5EncoderModel, name, **hub)  # audiocraft reads it once more, and does not look
        # audiocraft accepts a name that its class lists, so the class given here lists this one.
        listed = type("T5Conditioner", (T5Conditioner,), {"MODELS": [name], "MODELS_DIMS": {name: dim}})
        conditioner = listed(**settings | {"name": name}, output_dim=width, device=device)
        conditioner.t5_tokenizer = AutoTokenizer.from_pretrained(name, **hub)  # with the folder's own normalisation
        honesty.check_tokenizer(conditioner.t5_tokenizer, conditioner.t5.get_input_embeddings().num_embeddings)
        return conditioner

    name = settings["name"]
    places = [Path(name).expanduser()] if folder is None else [folder / name, Path(name).expanduser()]
    for place in places:
        if place.is_dir():
            return build(str(place))
    return load_from_hub(name, build)


def _codec(package: Mapping[str, Any], folder: Path | None) -> Any:
    from audiocraft.models.builders import get_compression_model
    from omegaconf import OmegaConf

    if "pretrained" in package:  # MusicGen's: the name of an EnCodec in transformers format
        from audiocraft.models.encodec import HFEncodecCompressionModel
        from transformers import EncodecModel

        name = package["pretrained"]
        if folder is not None and (folder / name).is_dir():
            name = str(folder / name)
        codec = load_from(
            name, partial(read_whole, EncodecModel), what="an EnCodec model", layout="in transformers format"
        )
        return HFEncodecCompressionModel(codec)
    config: Any = OmegaConf.create(package["xp.cfg"])
    config.device = "cpu"
    return _filled(get_compression_model(config), package, CODEC)


def _filled(model: Any, package: Mapping[str, Any], name: str) -> Any:
    try:
        model.load_state_dict(package["best_state"])
    except RuntimeError as error:
        raise TagxaiError(f"{name} does not fit its own xp.cfg: {' '.join(str(error).split())}") from None
    return model


def _lower(transformer: Any, dtype: torch.dtype) -> None:
    """Matrices to `dtype`. Norms, positions and the residual stream stay in float32, as under audiocraft's autocast."""
    from audiocraft.modules.transformer import StreamingMultiheadAttention

    for module in transformer.modules():
        if isinstance(module, (torch.nn.Linear, StreamingMultiheadAttention)):
            module.to(dtype)
