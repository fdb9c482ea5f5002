"""AudioGen and MusicGen through Meta's own audiocraft 1.3.0, unforked and unpatched, as Generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from threading import Lock, RLock
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from tagxai.errors import UnsupportedError
from tagxai.generators import honesty
from tagxai.generators.audiocraft.attention import AudiocraftSite, hide_padding, recompute
from tagxai.generators.audiocraft.checkpoints import CODEC, LANGUAGE_MODEL, import_audiocraft, load_models
from tagxai.generators.audiocraft.supported import check_supported
from tagxai.generators.codes import self_test
from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.generators.parts import check_defaults, layers_of
from tagxai.generators.quantised import dtype_of
from tagxai.generators.sources import load_from
from tagxai.lazy import Float, Int, torch


class AudiocraftGenerator(DelayPatternGenerator):
    """A language model of audiocraft and its codec. The model is the caller's: `release` gives it back as it was."""

    def __init__(self, lm: Any, codec: Any, *, max_duration: float, source: str = "") -> None:
        """Wrap an `LMModel` and its `CompressionModel`; they are frozen and set to evaluation."""
        check_supported(lm, codec)
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

        self._borrow(self.lm, self.codec, self.text_encoder)

    @classmethod
    def wrap(cls, model: Any) -> AudiocraftGenerator:
        """From an `audiocraft.models.AudioGen` or `MusicGen` that is loaded already."""
        return cls(model.lm, model.compression_model, max_duration=float(model.max_duration), source=model.name)

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> AudiocraftGenerator:
        source = source or cls.default_source
        import_audiocraft(cls.name)
        lm, codec, seconds = load_from(
            source,
            partial(load_models, device=device, dtype=dtype),
            what="an audiocraft model",
            layout=f"with audiocraft's {LANGUAGE_MODEL} and {CODEC}",
            needs=(LANGUAGE_MODEL, CODEC),
        )
        generator = cls(lm, codec, max_duration=seconds, source=source)
        with honesty.named(source):
            check_defaults(generator)
        self_test.check(generator, source)
        return generator

    @property
    def device(self) -> torch.device:
        return self.lm.emb[0].weight.device

    @property
    def channels(self) -> int:  # type: ignore[override]
        return self.codec.channels

    @property
    def dtype(self) -> torch.dtype:
        layer = self.lm.transformer.layers[0]
        return dtype_of(layer.linear1, layer)

    @property
    def _heads(self) -> Sequence[Callable[[Any], Any]]:
        return list(self.lm.linears)

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        # Not by way of `conditioner.tokenize`, which makes the empty text a null condition: here it is `</s>` alone.
        return self.conditioner({"input_ids": ids, "attention_mask": mask})[0]

    def _states(self, columns: torch.Tensor, embeddings: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        from torch.autograd import forward_ad

        with ExitStack() as recomputed:
            if forward_ad.unpack_dual(embeddings).tangent is not None:
                # audiocraft's self-attention splits q, k and v by a function without a forward-mode derivative
                recomputed.enter_context(recompute(site for site in self.attention_sites() if site.kind == "self"))
            if padding is not None:
                recomputed.enter_context(hide_padding(self.cross_attention(), padding))
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

    def encode_codes(self, waveform: Float[torch.Tensor, "channels samples"]) -> Int[torch.Tensor, "codebooks frames"]:
        codes, scale = self.codec.encode(waveform[None].to(self.device))
        if scale is not None:
            raise UnsupportedError(f"the codec of generator {self.name!r} scales what it encodes, not what it decodes")
        return codes[0]

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
