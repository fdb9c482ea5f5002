"""MusicGen's classes in transformers as a Generator: MusicGen, AudioGen in the same format, and the embedded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float, Int

from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators import golden
from tagxai.generators.common import DelayPatternGenerator, layers_of, load_from, quiet
from tagxai.generators.transformers_attention import TransformersSite
from tagxai.lazy import torch

if TYPE_CHECKING:
    from transformers import MusicgenForConditionalGeneration, PreTrainedTokenizerBase


class TransformersGenerator(DelayPatternGenerator):
    """MusicGen through transformers, from a local folder or a hub id (default facebook/musicgen-small)."""

    name: ClassVar[str] = "musicgen"
    default_source: ClassVar[str] = "facebook/musicgen-small"

    def __init__(
        self, model: MusicgenForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, *, source: str = ""
    ) -> None:
        """Wrap a loaded model; it is frozen and set to evaluation."""
        if not tokenizer.is_fast:
            raise UnsupportedError("a fast tokenizer is needed: a slow one gives no character offsets")
        self.model, self.tokenizer, self.source = model.eval().requires_grad_(False), tokenizer, source
        decoder: Any = model.decoder.config
        codec = model.audio_encoder.config
        self.channels: int = decoder.audio_channels
        self.delays = tuple(q // self.channels for q in range(decoder.num_codebooks))  # left and right share a delay
        self.pad = decoder.pad_token_id
        self.sample_rate = codec.sampling_rate
        self.frame_rate = codec.sampling_rate / codec.hop_length
        self.max_frames = decoder.max_position_embeddings - max(self.delays)
        self.max_duration = self.max_frames / self.frame_rate

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> TransformersGenerator:
        source = source or cls.default_source
        model, tokenizer = load_from(
            source, partial(_from_pretrained, dtype=dtype), what="a MusicGen model", layout="in transformers format"
        )
        generator = cls(model.to(device), tokenizer, source=source)
        golden.check(generator, source)
        return generator

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def _heads(self) -> Sequence[Callable[[Any], Any]]:
        return list(self.model.decoder.lm_heads)

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        embeddings = self.model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.model.enc_to_dec_proj(embeddings) if hasattr(self.model, "enc_to_dec_proj") else embeddings

    def _states(self, columns: torch.Tensor, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.model.decoder.model(
            input_ids=columns.reshape(-1, columns.shape[-1]),
            encoder_hidden_states=embeddings,
            encoder_attention_mask=None if mask.all() else mask.long(),
            use_cache=False,
        ).last_hidden_state

    @contextmanager
    def _streaming(self, embeddings: torch.Tensor) -> Iterator[Callable[[Any], Any]]:
        from transformers import DynamicCache, EncoderDecoderCache

        config = self.model.decoder.config
        cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))

        def states(columns: torch.Tensor) -> torch.Tensor:
            return self.model.decoder.model(
                input_ids=columns.reshape(-1, 1),
                encoder_hidden_states=embeddings,
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state

        yield states

    def decode(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        codec = self.model.audio_encoder
        with torch.no_grad():
            sides = [codes[side :: self.channels] for side in range(self.channels)]
            audio = [codec.decode(side[None, None], [None]).audio_values[0] for side in sides]
        return torch.cat(audio).float()

    def weights(self) -> Mapping[str, Sequence[torch.Tensor]]:
        decoder = self.model.decoder
        parts = {"heads": list(decoder.lm_heads.parameters())}
        parts |= layers_of(decoder.model.decoder.layers, "encoder_attn")
        text = list(self.model.text_encoder.parameters())
        projection: Any = getattr(self.model, "enc_to_dec_proj", None)
        return parts | {"text_encoder": text + (list(projection.parameters()) if projection is not None else [])}

    def attention_sites(self) -> Sequence[TransformersSite]:
        heads = self.model.decoder.config.num_attention_heads
        sites = []
        for i, layer in enumerate(self.model.decoder.model.decoder.layers):
            sites.append(TransformersSite(f"layer{i}.self", i, "self", heads, layer.self_attn))
            sites.append(TransformersSite(f"layer{i}.cross", i, "cross", heads, layer.encoder_attn))
        return sites


def _from_pretrained(source: str, dtype: str, **options: Any) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    with quiet(), torch.random.fork_rng():  # building a model draws weights before it loads them
        read: Any = partial(MusicgenForConditionalGeneration.from_pretrained, output_loading_info=True)
        model, loaded = read(source, dtype=getattr(torch, dtype), **options)
        _check_whole(source, loaded)
        return model, AutoTokenizer.from_pretrained(source, **options)


def _check_whole(source: str, loaded: Mapping[str, Any]) -> None:
    """transformers itself makes up the weights that are missing, at random, and drops those it does not know."""
    for problem, names in (("lacks", loaded["missing_keys"]), ("has the unexpected", loaded["unexpected_keys"])):
        names = sorted(name for name in names if not name.endswith(".embed_positions.weights"))  # of earlier versions
        if names:
            raise TagxaiError(
                f"model {source!r} {problem} {names[0]!r}{f' and {len(names) - 1} more' if names[1:] else ''}, so its "
                "weights do not fit its configuration"
            )
