"""The second embedded model: a flow over the latents of `tiny`'s codec, so that only the family differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from tagxai.contract.attention import AttentionSite, is_edited, is_scaled
from tagxai.contract.generator import Capability
from tagxai.contract.request import Setting
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError, UnsupportedError, error_sentence
from tagxai.generators.embedded import WEIGHTS, KnownTruth
from tagxai.generators.latents.model import LatentGenerator, Prediction
from tagxai.generators.latents.sites import LatentSite
from tagxai.generators.latents.solvers import Euler, Solver
from tagxai.generators.parts import layers_of, quiet
from tagxai.lazy import Float, torch

if TYPE_CHECKING:
    from tagxai.laboratory.latent_flow import LatentFlow

FLOW = WEIGHTS.parent / "weights_latent"

_watched: WeakKeyDictionary[torch.nn.Module, int] = WeakKeyDictionary()
_lock = RLock()  # blocks of several threads overlap


class LatentEmbedded(KnownTruth, LatentGenerator):
    """The embedded flow model: 3 s of everyday sounds at 16 kHz from noise in 16 steps, with no download."""

    name: ClassVar[str] = "latent"
    offers: ClassVar[frozenset[Capability]] = LatentGenerator.offers | {"closes", "truth"}
    default_duration: ClassVar[float] = 3.0
    threads: ClassVar[int | None] = 1  # its products are too short to be worth sharing
    row_by_row: ClassVar[bool] = True

    def __init__(self, flow: LatentFlow, musicgen: Any, tokenizer: Any, *, source: str = "") -> None:
        """Wrap a flow, and the text encoder and codec of `tiny`; they are frozen and set to evaluation."""
        self.flow = flow
        self.text_encoder: Any = musicgen.text_encoder
        self.codec: Any = musicgen.audio_encoder
        self.tokenizer, self.source = tokenizer, source
        self.width, self.max_frames = flow.config.dim, flow.config.frames
        self.sample_rate = self.codec.config.sampling_rate
        self.frame_rate = self.sample_rate / self.codec.config.hop_length
        self.max_duration = self.max_frames / self.frame_rate
        self.default_guidance_scale = flow.config.guidance_scale
        self.default_denoising_steps = flow.config.denoising_steps
        self._dtype = torch.float32
        self._borrow(*self.modules().values())

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> LatentEmbedded:
        """`source` is a folder that `python -m tagxai.laboratory.train.latent` wrote."""
        from transformers import AutoTokenizer, MusicgenForConditionalGeneration

        from tagxai.laboratory.latent_flow import LatentFlow

        if dtype == "float64":
            raise UnsupportedError(f"generator {cls.name!r} computes in float32, bfloat16 or float16, not in float64")
        folder = FLOW if source is None else Path(source).expanduser()
        if missing := [name for name in ("config.json", "model.safetensors") if not (folder / name).is_file()]:
            if source is None:
                raise TagxaiError(f"the embedded flow's weights are missing from {FLOW}; reinstall tagxai")
            raise TagxaiError(f"no flow in {source!r}: it has no {missing[0]}; expected a folder that training wrote")
        with quiet(), torch.random.fork_rng(devices=[]):  # building a model draws weights before it loads them
            try:
                flow = LatentFlow.load(folder)
            except Exception as error:
                raise TagxaiError(f"the flow in {source or FLOW} cannot be read: {error_sentence(error)}") from None
            musicgen = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
        generator = cls(flow, musicgen, tokenizer, source=source or "")
        for part in generator.modules().values():
            part.to(device)
        generator._dtype = getattr(torch, dtype)
        return generator

    @property
    def device(self) -> torch.device:
        return self.flow.scale.device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    def sampling_settings(self) -> Sequence[Setting]:
        shift = Setting("shift", float, self.flow.config.shift, "Above 1, more of the steps are near noise.", 0.01, 100)
        return (*super().sampling_settings(), shift)

    def solver(self, settings: Mapping[str, Any]) -> Solver:
        from tagxai.laboratory.latent_sampling import noise_levels

        return Euler(noise_levels(settings["denoising_steps"], settings["shift"]).to(self.device))

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.flow.text(self.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state)

    def _predict(
        self,
        latents: Float[torch.Tensor, "rows frames width"],
        levels: Float[torch.Tensor, " levels"],
        conditioning: Conditioning,
        timeline: LatentFrames,
    ) -> Prediction:
        count = len(levels)
        t = levels if count == 1 else levels.repeat(len(conditioning))  # one level is one row, however many clips
        text, mask = (rows.repeat_interleave(count, 0) for rows in (conditioning.embeddings, conditioning.mask))
        hidden = self.flow.hidden(latents, t, text, mask)
        return Prediction(self.flow.velocity(hidden, latents, t).float(), hidden.float())

    def decode_latents(
        self, latents: Float[torch.Tensor, "frames width"], timeline: LatentFrames
    ) -> Float[torch.Tensor, "channels samples"]:
        return self.codec.decoder((latents * self.flow.scale).T[None])[0].float()

    def attention_sites(self) -> Sequence[AttentionSite]:
        sites, heads, levels = [], self.levels * self.flow.config.heads, self.levels
        for i, block in enumerate(self.flow.blocks):
            sites.append(FlowSite(f"layer{i}.self", i, "self", heads, block.self_attn, block, levels=levels))
            sites.append(FlowSite(f"layer{i}.cross", i, "cross", heads, block.cross_attn, block, levels=levels))
        return sites

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"flow": self.flow, "text_encoder": self.text_encoder, "codec": self.codec}

    def parameters_by_part(self) -> Mapping[str, Sequence[torch.Tensor]]:
        parts: dict[str, Sequence[torch.Tensor]] = {}
        parts["heads"] = [*self.flow.leave.parameters(), *self.flow.last.parameters()]
        parts |= layers_of(self.flow.blocks, "cross_attn")
        return parts | {"text_encoder": [*self.text_encoder.parameters(), *self.flow.text.parameters()]}


@dataclass(frozen=True)
class FlowSite(LatentSite):
    """An attention module of the flow, which asks its `editing` in every call."""

    layer_module: torch.nn.Module

    @property
    def projection(self) -> torch.nn.Linear:
        return self.module.to_out

    @property
    def block(self) -> torch.nn.Module:
        return self.layer_module

    def check_plain_residual(self) -> None:
        if self.kind == "self":
            raise UnsupportedError(
                f"attention site {self.name!r} is scaled by the noise level (AdaLN) before its layer adds it; expected "
                "layers that add it as it is"
            )

    @contextmanager
    def watched(self) -> Iterator[None]:
        with _lock:
            _watched[self.module] = _watched.get(self.module, 0) + 1
            self.module.editing = _Editing(self)
        try:
            yield
        finally:
            with _lock:
                _watched[self.module] -= 1
                if not _watched[self.module]:
                    del _watched[self.module]
                    self.module.editing = None

    def scaling(self) -> Any:
        return self.watched()


class _Editing:
    """What a watched module asks; it holds nothing of its callers, whose contexts say what is edited."""

    def __init__(self, site: FlowSite) -> None:
        self.site = site

    def wants_weights(self) -> bool:
        return is_edited(self.site)

    def weights(self, weights: torch.Tensor, logits: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return self.site.edited(weights, logits, values)

    def values(self, values: torch.Tensor) -> torch.Tensor:
        return self.site.scaled(values) if is_scaled(self.site) else values
