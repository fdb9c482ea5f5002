"""AudioGen and MusicGen through Meta's own audiocraft 1.3.0, unforked and unpatched, as Generators."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from threading import Lock, RLock
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from jaxtyping import Float, Int

from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.audiocraft.attention import AudiocraftSite, hide_padding, recompute
from tagxai.generators.codes import self_test
from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.generators.parts import check_fit, layers_of, quiet
from tagxai.generators.sources import first_line, load_from, load_from_hub
from tagxai.lazy import torch

LANGUAGE_MODEL, CODEC = "state_dict.bin", "compression_state_dict.bin"


class AudiocraftGenerator(DelayPatternGenerator):
    """A language model of audiocraft and its codec. The model is the caller's: `release` gives it back as it was."""

    def __init__(self, lm: Any, codec: Any, *, max_duration: float, source: str = "") -> None:
        """Wrap an `LMModel` and its `CompressionModel`; they are frozen and set to evaluation."""
        _check_supported(lm, codec)
        (self.conditioner,) = lm.condition_provider.conditioners.values()
        self.lm, self.codec, self.source = lm, codec, source
        self.text_encoder = self.conditioner.t5  # audiocraft hides it from the modules of the lm
        self.tokenizer = self.conditioner.t5_tokenizer
        self.delays = tuple(lm.pattern_provider.delays)
        self.pad = lm.special_token_id
        self.sample_rate = codec.sample_rate
        self.frame_rate = float(codec.frame_rate)
        self.max_frames = int(max_duration * self.frame_rate + 1e-6)
        self.max_duration = self.max_frames / self.frame_rate
        self.default_guidance_scale = float(lm.cfg_coef)

        models = (self.lm, self.codec, self.text_encoder)
        self._training = [(part, part.training) for model in models for part in model.modules()]
        self._gradients = [(weight, weight.requires_grad) for model in models for weight in model.parameters()]
        for model in models:
            model.eval().requires_grad_(False)

    @classmethod
    def wrap(cls, model: Any) -> AudiocraftGenerator:
        """From an `audiocraft.models.AudioGen` or `MusicGen` that is loaded already."""
        return cls(model.lm, model.compression_model, max_duration=float(model.max_duration), source=model.name)

    def release(self) -> None:
        """Give the model back as it was handed over: its training flags, and which weights need gradients."""
        for part, training in self._training:
            part.training = training
        for weight, needed in self._gradients:
            weight.requires_grad_(needed)

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> AudiocraftGenerator:
        source = source or cls.default_source
        _import_audiocraft(cls.name)
        lm, codec, seconds = load_from(
            source,
            partial(_load, device=device, dtype=dtype),
            what="an audiocraft model",
            layout=f"with audiocraft's {LANGUAGE_MODEL} and {CODEC}",
            needs=(LANGUAGE_MODEL, CODEC),
        )
        generator = cls(lm, codec, max_duration=seconds, source=source)
        self_test.check(generator, source)
        return generator

    @property
    def device(self) -> torch.device:
        return self.lm.emb[0].weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.lm.transformer.layers[0].linear1.weight.dtype

    @property
    def _heads(self) -> Sequence[Callable[[Any], Any]]:
        return list(self.lm.linears)

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        # Not by way of `conditioner.tokenize`, which makes the empty text a null condition: here it is `</s>` alone.
        return self.conditioner({"input_ids": ids, "attention_mask": mask})[0]

    def _states(self, columns: torch.Tensor, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        from torch.autograd import forward_ad

        with ExitStack() as recomputed:
            if forward_ad.unpack_dual(embeddings).tangent is not None:
                # audiocraft's self-attention splits q, k and v by a function without a forward-mode derivative
                recomputed.enter_context(recompute(site for site in self.attention_sites() if site.kind == "self"))
            if not mask.all():
                recomputed.enter_context(hide_padding(self.cross_attention(), mask))
            with _of_model(self.lm):
                return self._run(columns, embeddings)

    @contextmanager
    def _streaming(self, embeddings: torch.Tensor) -> Iterator[Callable[[Any], Any]]:
        past: dict[Any, dict[str, Any]] = {}

        def step(columns: torch.Tensor) -> torch.Tensor:
            with _of_model(self.lm), self.lm.streaming():  # which forgets it all when it ends
                for part, state in past.items():
                    part._streaming_state.update(state)
                hidden = self._run(columns, embeddings)
                past.update({part: dict(part._streaming_state) for part in self._stateful()})
            return hidden

        yield step

    def _stateful(self) -> list[Any]:
        return [part for part in self.lm.modules() if getattr(part, "_streaming_state", None)]

    def _run(self, columns: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """`LMModel.forward` up to its heads."""
        embedded = sum(table(codes) for table, codes in zip(self.lm.emb, columns.unbind(1), strict=True))
        hidden = self.lm.transformer(embedded, cross_attention_src=embeddings)
        hidden = hidden if self.lm.out_norm is None else self.lm.out_norm(hidden)
        # Of a model that is wholly in half precision, as audiocraft loads it on a GPU, autocast widens the norm alone.
        return hidden.to(self.lm.linears[0].weight.dtype)

    def decode_codes(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        with torch.no_grad():
            return self.codec.decode(codes[None].to(self.device))[0].float()

    def parameters_by_part(self) -> Mapping[str, Sequence[torch.Tensor]]:
        parts = {"heads": list(self.lm.linears.parameters())}
        parts |= layers_of(self.lm.transformer.layers, "cross_attention")
        text = [*self.text_encoder.parameters(), *self.conditioner.output_proj.parameters()]
        return parts | {"text_encoder": text}

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"lm": self.lm, "codec": self.codec, "text_encoder": self.text_encoder}

    def attention_sites(self) -> Sequence[AudiocraftSite]:
        sites = []
        for i, layer in enumerate(self.lm.transformer.layers):
            own, cross = layer.self_attn, layer.cross_attention
            sites.append(AudiocraftSite(f"layer{i}.self", i, "self", own.num_heads, own, layer))
            sites.append(AudiocraftSite(f"layer{i}.cross", i, "cross", cross.num_heads, cross, layer))
        return sites


_of_models: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_making = Lock()


def _of_model(lm: Any) -> AbstractContextManager[Any]:
    """audiocraft keeps the state of a stream in the model itself, so that threads take turns, a pass at a time."""
    with _making:
        return _of_models.setdefault(lm, RLock())


class AudioGenGenerator(AudiocraftGenerator):
    """AudioGen through audiocraft, from a local folder or a hub id (default facebook/audiogen-medium)."""

    name: ClassVar[str] = "audiogen"
    default_source: ClassVar[str] = "facebook/audiogen-medium"


class AudiocraftMusicGenGenerator(AudiocraftGenerator):
    """MusicGen through audiocraft, from a local folder or a hub id (default facebook/musicgen-small)."""

    name: ClassVar[str] = "audiocraft_musicgen"
    default_source: ClassVar[str] = "facebook/musicgen-small"


def _check_supported(lm: Any, codec: Any) -> None:
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


# -- reading checkpoints ---------------------------------------------------------------------------------------------


def _import_audiocraft(name: str) -> None:
    log = logging.getLogger("xformers")  # says at length that it has no fast kernels; torch's own are used
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        import audiocraft.models  # noqa: F401
    except ImportError as error:
        raise TagxaiError(
            f"generator {name!r} needs audiocraft ({first_line(error)}); install tagxai's extra 'audiocraft' "
            "(`uv sync --extra audiocraft` in a checkout; the README says how with pip)"
        ) from None
    finally:
        log.setLevel(level)


def _load(source: str, *, device: str, dtype: str, **hub: Any) -> tuple[Any, Any, float]:
    """Language model, codec and longest clip: audiocraft's builders, but nothing is unpickled to objects."""
    from audiocraft.models.builders import get_wrapped_compression_model

    folder = None if hub else Path(source)
    with quiet(), warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):  # built at random first
        packages = [read_package(source, name, folder, **hub) for name in (LANGUAGE_MODEL, CODEC)]
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
            package = torch.load(path, map_location="cpu", weights_only=True)
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
    from transformers import AutoConfig, AutoTokenizer

    if settings.get("normalize_text"):  # it would download a spaCy model
        raise UnsupportedError("this audiocraft model has normalize_text, which tagxai does not support")

    def build(name: str, **hub: Any) -> Any:
        dim = AutoConfig.from_pretrained(name, **hub).d_model
        # audiocraft accepts a name that its class lists, so the class given here lists this one.
        listed = type("T5Conditioner", (T5Conditioner,), {"MODELS": [name], "MODELS_DIMS": {name: dim}})
        conditioner = listed(**settings | {"name": name}, output_dim=width, device=device)
        conditioner.t5_tokenizer = AutoTokenizer.from_pretrained(name, **hub)  # with the folder's own normalisation
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
        codec = load_from(name, EncodecModel.from_pretrained, what="an EnCodec model", layout="in transformers format")
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
