"""MusicGen's classes in transformers as a Generator: MusicGen, AudioGen in the same format, and the embedded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tagxai.contract.values import PrefixState
from tagxai.contract.whole_weights import check_whole
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators import honesty
from tagxai.generators.codes import self_test
from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.generators.kinds import check_architecture
from tagxai.generators.parts import check_defaults, check_fit, layers_of, quiet
from tagxai.generators.quantised import dtype_of
from tagxai.generators.sources import load_from
from tagxai.generators.transformers import claims
from tagxai.generators.transformers.attention import TransformersSite
from tagxai.lazy import Float, Int, torch

if TYPE_CHECKING:
    from transformers import EncoderDecoderCache, MusicgenForConditionalGeneration, PreTrainedTokenizerBase


_MUSICGEN = "MusicgenForConditionalGeneration"

EXACT = [
    "text_encoder",
    "audio_encoder",
    "enc_to_dec_proj",
    "audio_enc_to_dec_proj",
    "embed_tokens",
    "embed_positions",
    "layer_norm",
    "lm_heads",
]
"""Parts that stay in float32 whatever the dtype."""


class TransformersGenerator(DelayPatternGenerator):
    """MusicGen through transformers, from a local folder or a hub id (default facebook/musicgen-small)."""

    name: ClassVar[str] = "musicgen"
    default_source: ClassVar[str] = "facebook/musicgen-small"
    shards: ClassVar[bool] = True
    mixes_prompts: ClassVar[bool] = True
    architecture: ClassVar[str] = _MUSICGEN  # the class of transformers
    trained_duration: float | None = 30.0  # of the released MusicGen, whose positions go on for longer

    def __init__(
        self, model: MusicgenForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, *, source: str = ""
    ) -> None:
        """Wrap a loaded model; it is frozen and set to evaluation, until `release`."""
        if not tokenizer.is_fast:
            raise UnsupportedError("a fast tokenizer is needed: a slow one gives no character offsets")
        self.model, self.tokenizer, self.source = model, tokenizer, source
        decoder: Any = model.decoder.config
        codec = model.audio_encoder.config
        self.channels: int = decoder.audio_channels
        check_fit(
            ("codebooks", codec.num_quantizers, decoder.num_codebooks // self.channels),
            ("codes in a codebook", codec.codebook_size, decoder.vocab_size),
        )
        self.delays = tuple(q // self.channels for q in range(decoder.num_codebooks))  # left and right share a delay
        self.pad = decoder.pad_token_id
        if not 0 <= self.pad <= decoder.vocab_size:
            raise TagxaiError(f"decoder.pad_token_id is {self.pad}; expected one of 0 to {decoder.vocab_size}")
        self.sample_rate = codec.sampling_rate
        self.frame_rate = codec.sampling_rate / codec.hop_length
        self.max_frames = decoder.max_position_embeddings - max(self.delays)
        self.max_duration = self.max_frames / self.frame_rate
        for name in ("guidance_scale", "top_k", "temperature"):
            if (own := getattr(model.generation_config, name, None)) is not None:
                setattr(self, f"default_{name}", own)
        self._borrow(model)

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> TransformersGenerator:
        source = source or cls.default_source
        model, tokenizer = load_from(
            source,
            partial(_from_pretrained, cls.architecture, device=device, dtype=dtype),
            what=f"a model of {cls.architecture}" if cls.architecture != _MUSICGEN else "a MusicGen model",
            layout="in transformers format",
            needs=("config.json",),  # without one, transformers would make a model of its own sizes
        )
        generator = cls(model, tokenizer, source=source)
        with honesty.named(source):
            check_defaults(generator)
        self_test.check(generator, source)
        return generator

    def eight_bit_parts(self) -> Sequence[torch.nn.Module]:
        return list(self.model.decoder.model.decoder.layers)

    @property
    def device(self) -> torch.device:
        device = self.model.device
        return torch.device("cpu") if device.type == "meta" else device  # meta: a shard that is loaded when it is used

    @property
    def dtype(self) -> torch.dtype:
        layer: Any = self.model.decoder.model.decoder.layers[0]
        return dtype_of(layer.fc1, layer)

    @property
    def _heads(self) -> Sequence[Callable[[Any], Any]]:
        return list(self.model.decoder.lm_heads)

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        embeddings = self.model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.model.enc_to_dec_proj(embeddings) if hasattr(self.model, "enc_to_dec_proj") else embeddings

    def _states(self, columns: torch.Tensor, embeddings: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        return self.model.decoder.model(
            input_ids=columns.reshape(-1, columns.shape[-1]),
            encoder_hidden_states=embeddings,
            encoder_attention_mask=None if padding is None else padding.long(),
            use_cache=False,
        ).last_hidden_state

    @contextmanager
    def _streaming(self, embeddings: torch.Tensor) -> Iterator[Callable[[Any], Any]]:
        from tagxai.generators.transformers.growing_cache import GrowingLayer

        cache = self._empty_cache()
        cache.self_attention_cache.layers = [GrowingLayer() for _ in cache.self_attention_cache.layers]
        yield lambda columns: self._cached_states(cache, columns, embeddings)

    def _remember(self, columns: torch.Tensor, embeddings: torch.Tensor, padding: torch.Tensor | None) -> Any:
        cache = self._empty_cache()
        self._cached_states(cache, columns, embeddings, padding)
        layers: Sequence[Any] = cache.self_attention_cache.layers
        return [(layer.keys, layer.values) for layer in layers]

    def _continue(
        self, prefix: PrefixState, columns: torch.Tensor, embeddings: torch.Tensor, padding: torch.Tensor | None
    ) -> torch.Tensor:
        cache = self._empty_cache()
        for layer, (keys, values) in enumerate(prefix.state):
            rows = (len(columns), -1, -1, -1)
            cache.self_attention_cache.update(keys.expand(rows), values.expand(rows), layer)
        return self._cached_states(cache, columns, embeddings, padding)

    def _empty_cache(self) -> EncoderDecoderCache:
        from transformers import DynamicCache, EncoderDecoderCache

        config = self.model.decoder.config
        return EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))

    def _cached_states(
        self,
        cache: EncoderDecoderCache,
        columns: torch.Tensor,
        embeddings: torch.Tensor,
        padding: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.model.decoder.model(
            input_ids=columns.reshape(-1, columns.shape[-1]),
            encoder_hidden_states=embeddings,
            encoder_attention_mask=None if padding is None else padding.long(),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state

    def decode_codes(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        codec: Any = self.model.audio_encoder
        with torch.no_grad():
            sides = [codes[side :: self.channels].to(codec.device) for side in range(self.channels)]
            audio = [codec.decode(side[None, None], [None]).audio_values[0] for side in sides]
        return torch.cat(audio).float()

    def encode_codes(self, waveform: Float[torch.Tensor, "channels samples"]) -> Int[torch.Tensor, "codebooks frames"]:
        codec: Any = self.model.audio_encoder
        bandwidth = codec.config.target_bandwidths[-1]
        sides = [codec.encode(side[None, None].to(codec.device), bandwidth=bandwidth) for side in waveform]
        if any(len(side.audio_codes) != 1 or side.audio_scales[0] is not None for side in sides):
            raise UnsupportedError(
                f"the codec of generator {self.name!r} encodes in chunks or scales, not as it decodes"
            )
        return torch.stack([side.audio_codes[0, 0] for side in sides], 1).flatten(0, 1)  # as `decode_codes` parts them

    def parameters_by_part(self) -> Mapping[str, Sequence[torch.Tensor]]:
        decoder = self.model.decoder
        parts = {"heads": list(decoder.lm_heads.parameters())}
        parts |= layers_of(decoder.model.decoder.layers, "encoder_attn")
        text = list(self.model.text_encoder.parameters())
        projection: Any = getattr(self.model, "enc_to_dec_proj", None)
        return parts | {"text_encoder": text + (list(projection.parameters()) if projection is not None else [])}

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"model": self.model}

    def attention_sites(self) -> Sequence[TransformersSite]:
        heads = self.model.decoder.config.num_attention_heads
        sites = []
        for i, layer in enumerate(self.model.decoder.model.decoder.layers):
            sites.append(TransformersSite(f"layer{i}.self", i, "self", heads, layer.self_attn, layer))
            sites.append(TransformersSite(f"layer{i}.cross", i, "cross", heads, layer.encoder_attn, layer))
        return sites


def _from_pretrained(architecture: str, source: str, device: str, dtype: str, **options: Any) -> tuple[Any, Any]:
    import transformers

    if (folder := Path(source)).is_dir():
        with honesty.named(source):
            config = honesty.read_config(folder)
        check_architecture(config, architecture, source)
        with honesty.named(source):
            claims.check(folder)
    else:
        check_architecture(transformers.PreTrainedConfig.get_config_dict(source, **options)[0], architecture, source)
    placed = _placement() if device == "sharded" else {}
    with quiet(), torch.random.fork_rng(devices=[]):  # building a model draws weights before it loads them
        # As audiocraft has it, only the matrices of the decoder's layers are in a lower dtype.
        exact = {"_keep_in_fp32_modules_strict": EXACT}
        musicgen: Any = type(architecture, (getattr(transformers, architecture),), exact)
        read: Any = partial(musicgen.from_pretrained, output_loading_info=True, ignore_mismatched_sizes=True)
        model, loaded = read(source, dtype=getattr(torch, dtype), **placed, **options)
        tables = [name for name in loaded["unexpected_keys"] if name.endswith(".embed_positions.weights")]
        check_whole(source, loaded, made=tables)  # which earlier versions saved
        positions = model.decoder.model.decoder.embed_positions  # in no checkpoint: computed, and rounded to the dtype
        positions.weights = positions.get_embedding(*positions.weights.shape).to(positions.weights.device)
        if placed:
            _answer_where_asked(model)
        else:
            model.to(device)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
        with honesty.named(source):
            honesty.check_tokenizer(tokenizer, model.text_encoder.get_input_embeddings().num_embeddings)
        return model, tokenizer


def _placement() -> dict[str, Any]:
    try:
        import accelerate  # noqa: F401
    except ImportError:
        raise TagxaiError("--device sharded needs accelerate: pip install 'tagxai[sharding]'") from None
    return {"device_map": "auto"}


def _answer_where_asked(model: Any) -> None:
    """Whatever the device of a part that is called from here, its result is on the device of what it was given."""
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module

    parts = [model.text_encoder, model.decoder.model, *model.decoder.lm_heads]
    for part in [*parts, model.enc_to_dec_proj] if hasattr(model, "enc_to_dec_proj") else parts:
        hook = getattr(part, "_hf_hook", None)
        if hook is None:
            add_hook_to_module(part, AlignDevicesHook(io_same_device=True))
        else:
            hook.io_same_device = True
