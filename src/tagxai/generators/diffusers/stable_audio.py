"""Stable Audio (Open 1.0 and its like) through diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jaxtyping import Float

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Capability
from tagxai.contract.request import Setting
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.diffusers.attention import Editing, ProcessorSite
from tagxai.generators.diffusers.cosine import CosineDPM
from tagxai.generators.diffusers.loading import load_pipeline, to_dtype
from tagxai.generators.latents.model import LatentGenerator, Prediction
from tagxai.generators.latents.solvers import Solver
from tagxai.generators.parts import layers_of
from tagxai.generators.quantised import dtype_of
from tagxai.lazy import torch

_PARTS = {
    "transformer": "StableAudioDiTModel",
    "vae": "AutoencoderOobleck",
    "text_encoder": "T5EncoderModel",
    "projection_model": "StableAudioProjectionModel",
    "scheduler": "CosineDPMSolverMultistepScheduler",
    "tokenizer": "",
}
_TIMING = ("<starts at>", "<total seconds>")


class StableAudioGenerator(LatentGenerator):
    """Stable Audio through diffusers, from a local folder or a hub id (default stabilityai/stable-audio-open-1.0).

    After a prompt's tokens come two that say when the clip starts and ends. The network always denoises its longest
    clip, and reads as many keys for every prompt: the others are zeros, which take a share of the attention.
    """

    name: ClassVar[str] = "stable_audio"
    offers: ClassVar[frozenset[Capability]] = LatentGenerator.offers | {"closes"}
    default_duration: ClassVar[float] = 10.0
    default_guidance_scale = 7.0
    default_denoising_steps = 100

    def __init__(self, pipe: Any, *, source: str = "") -> None:
        """Wrap a `StableAudioPipeline` in float32 (the matrices of its layers may be in a lower dtype). Its models are
        frozen and set to evaluation.

        Raises UnsupportedError for a scheduler or tokenizer of another kind than Stable Audio's.
        """
        self.transformer, self.vae = pipe.transformer, pipe.vae
        self.text_encoder, self.projection = pipe.text_encoder, pipe.projection_model
        self.tokenizer, self.source = pipe.tokenizer, source
        self._scheduler = pipe.scheduler
        self.scheduler = {key: value for key, value in pipe.scheduler.config.items() if not key.startswith("_")}
        _check_supported(pipe)
        config = self.transformer.config
        self.width, self.max_frames = config.in_channels, config.sample_size
        self.sample_rate = self.vae.config.sampling_rate
        self.frame_rate = self.sample_rate / self.vae.hop_length
        self.max_duration = self.max_frames / self.frame_rate
        self._borrow(*self.modules().values())

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> StableAudioGenerator:
        """The matrices of the network's layers are in `dtype`, everything else in float32."""
        if dtype == "float64":
            raise UnsupportedError(f"generator {cls.name!r} computes in float32, bfloat16 or float16, not in float64")
        source = source or "stabilityai/stable-audio-open-1.0"
        generator = cls(load_pipeline(cls.name, source, "StableAudioPipeline", _PARTS), source=source)
        to_dtype(generator.transformer.transformer_blocks, dtype)
        for part in generator.modules().values():
            part.to(device)
        return generator

    @property
    def device(self) -> torch.device:
        return self.transformer.proj_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        layer = self.transformer.transformer_blocks[0]
        return dtype_of(layer.attn1.to_q, layer)

    # -- the prompt ----------------------------------------------------------------------------------------------

    def sampling_settings(self) -> Sequence[Setting]:
        negative = Setting(
            "negative_prompt", str, "", "What guidance leads away from; the unconditional branch is then this prompt's."
        )
        return (*super().sampling_settings(), negative)

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.text_encoder(input_ids=ids, attention_mask=mask)[0]
        return self.projection(text_hidden_states=states).text_hidden_states

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """With the timing of the longest clip; `_timed` puts in that of the clip."""
        text = super().encode_prompt(prompts)
        most = self.tokenizer.model_max_length
        if text.embeddings.shape[1] > most:
            raise TagxaiError(f"the prompt has {text.embeddings.shape[1]} tokens; expected at most {most}")
        embeddings = torch.nn.functional.pad(text.embeddings, (0, 0, 0, 2))
        mask = torch.nn.functional.pad(text.mask, (0, 2))
        timing = self._timing(self.max_duration)
        for row, tokens in enumerate(text.tokens):
            own = slice(len(tokens), len(tokens) + 2)
            embeddings[row, own], mask[row, own] = timing, True
        ends = [((len(prompt), len(prompt)),) * 2 for prompt in prompts]
        return Conditioning(
            embeddings,
            mask,
            tuple((*tokens, *_TIMING) for tokens in text.tokens),
            tuple((*spans, *end) for spans, end in zip(text.spans, ends, strict=True)),
        )

    def null(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> Conditioning:
        if not settings.get("negative_prompt"):
            return super().null(conditioning, settings)
        return self.encode_prompt([settings["negative_prompt"]]).expand(len(conditioning))

    def _timing(self, seconds: float) -> Float[torch.Tensor, "2 dim"]:
        """What the network reads of the clip's start and end."""
        start, end = (torch.tensor([each], device=self.device) for each in (0.0, seconds))
        with torch.no_grad():
            said = self.projection(start_seconds=start, end_seconds=end)
        return torch.cat([said.seconds_start_hidden_states, said.seconds_end_hidden_states])[:, 0]

    def _timed(self, conditioning: Conditioning, seconds: float) -> Float[torch.Tensor, "batch tokens dim"]:
        """The embeddings with the clip's own end in place of the longest clip's, as far as that is still there: a
        method may have scaled it or taken it away."""
        embeddings = conditioning.embeddings
        longest, own = self._timing(self.max_duration)[1], self._timing(seconds)[1]
        last = torch.tensor([len(tokens) - 1 for tokens in conditioning.tokens], device=embeddings.device)
        rows = torch.arange(len(conditioning), device=embeddings.device)
        there = (embeddings[rows, last] * longest).sum(-1, keepdim=True) / longest.square().sum()
        place = torch.nn.functional.one_hot(last, embeddings.shape[1])[..., None]
        return embeddings + place * (there * (own - longest))[:, None]

    # -- the network ---------------------------------------------------------------------------------------------

    def solver(self, settings: Mapping[str, Any]) -> Solver:
        return CosineDPM(self._scheduler, settings["denoising_steps"], self.device)

    def canvas(self, timeline: LatentFrames) -> int:
        return self.max_frames

    def noise(self, timeline: LatentFrames, random: torch.Generator) -> Float[torch.Tensor, "frames width"]:
        return torch.randn(self.width, self.max_frames, generator=random).T  # as diffusers draws it

    def _predict(
        self,
        latents: Float[torch.Tensor, "rows frames width"],
        levels: Float[torch.Tensor, " levels"],
        conditioning: Conditioning,
        timeline: LatentFrames,
    ) -> Prediction:
        from diffusers.models.embeddings import get_1d_rotary_pos_embed

        net, seconds = self.transformer, timeline.frames / timeline.frame_rate
        exact = torch.autocast(self.device.type, enabled=False)  # only the layers are in a lower dtype
        with exact:
            text = self._timed(conditioning, seconds)
            text = torch.nn.functional.pad(text, (0, 0, 0, self.tokenizer.model_max_length + 2 - text.shape[1]))
            text = net.cross_attention_proj(text).repeat_interleave(len(levels), 0)
            timing = net.global_proj(self._timing(seconds).flatten()[None])
            first = (timing + net.timestep_proj(net.time_proj(levels))).repeat(len(conditioning), 1)
            noisy = latents.transpose(1, 2)
            frames = net.proj_in((net.preprocess_conv(noisy) + noisy).transpose(1, 2))
            hidden = torch.cat([first[:, None], frames], 1)
        turns = get_1d_rotary_pos_embed(
            net.config.attention_head_dim // 2,
            torch.arange(hidden.shape[1], device=self.device),
            use_real=True,
            repeat_interleave_real=False,
        )
        for layer in net.transformer_blocks:
            hidden = layer(hidden_states=hidden, encoder_hidden_states=text, rotary_embedding=turns)
        with exact:
            hidden = hidden[:, 1:].float()
            velocity = net.proj_out(hidden).transpose(1, 2)
            return Prediction((net.postprocess_conv(velocity) + velocity).transpose(1, 2), hidden)

    def target(
        self,
        read: Float[torch.Tensor, "levels frames width"],
        latents: Float[torch.Tensor, "frames width"],
        levels: Float[torch.Tensor, " levels"],
    ) -> Float[torch.Tensor, "levels frames width"]:
        """What the network read is cos(angle) * latents + sin(angle) * noise, its velocity cos(angle) * noise -
        sin(angle) * latents."""
        angle = levels[:, None, None] * torch.pi / 2
        return (angle.cos() * read - latents) / angle.sin()

    def decode_latents(
        self, latents: Float[torch.Tensor, "frames width"], timeline: LatentFrames
    ) -> Float[torch.Tensor, "channels samples"]:
        return self.vae.decode(latents.T[None]).sample[0, :, : timeline.frames * self.vae.hop_length].float()

    # -- looking into it -----------------------------------------------------------------------------------------

    def attention_sites(self) -> Sequence[AttentionSite]:
        sites = []
        for i, layer in enumerate(self.transformer.transformer_blocks):
            for kind, module in (("self", layer.attn1), ("cross", layer.attn2)):
                heads = self.levels * module.heads
                sites.append(
                    ProcessorSite(
                        f"layer{i}.{kind}",
                        i,
                        "self" if kind == "self" else "cross",
                        heads,
                        module,
                        layer,
                        StableAudioEditing,
                        levels=self.levels,
                        prepended=1,
                        padded=kind == "cross",
                    )
                )
        return sites

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {
            "transformer": self.transformer,
            "text_encoder": self.text_encoder,
            "projection": self.projection,
            "vae": self.vae,
        }

    def parameters_by_part(self) -> Mapping[str, Sequence[torch.Tensor]]:
        net, parts = self.transformer, dict[str, Sequence[torch.Tensor]]()
        parts["heads"] = [*net.proj_out.parameters(), *net.postprocess_conv.parameters()]
        parts |= layers_of(net.transformer_blocks, "attn2")
        text = (self.text_encoder, self.projection.text_projection, net.cross_attention_proj)
        return parts | {"text_encoder": [weight for part in text for weight in part.parameters()]}


class StableAudioEditing(Editing):
    """Stable Audio's attention: several heads of queries share one of keys, and self-attention turns by position."""

    def __call__(  # type: ignore[override]
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        if not self.is_asked:
            return self.own(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        read = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        width = query.shape[-1]
        key, value = (of(read).unflatten(-1, (-1, width)).transpose(1, 2) for of in (attn.to_k, attn.to_v))
        shared = attn.heads // key.shape[1]
        key, value = (each.repeat_interleave(shared, dim=1) for each in (key, value))
        if rotary_emb is not None:
            query, key = (_turned(each, rotary_emb) for each in (query, key))
        return attn.to_out[0](self.mixed(query, key, value))


def _turned(states: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    from diffusers.models.embeddings import apply_rotary_emb

    width = turns[0].shape[-1]
    turned = apply_rotary_emb(states[..., :width].float(), turns, use_real=True, use_real_unbind_dim=-2)
    return torch.cat([turned.to(states.dtype), states[..., width:]], -1)


def _check_supported(pipe: Any) -> None:
    """Raises UnsupportedError."""
    scheduler, wanted = pipe.scheduler, _PARTS["scheduler"]
    if type(scheduler).__name__ != wanted:
        raise UnsupportedError(f"this pipeline's scheduler is a {type(scheduler).__name__}; expected a {wanted}")
    for key, expected in (("prediction_type", "v_prediction"), ("sigma_data", 1.0)):
        if scheduler.config[key] != expected:
            raise UnsupportedError(f"this pipeline's scheduler has {key} {scheduler.config[key]}; expected {expected}")
    if not pipe.tokenizer.is_fast or pipe.tokenizer.model_max_length > StableAudioGenerator.max_tokens:
        raise UnsupportedError("expected a fast tokenizer that says how long a prompt may be (model_max_length)")
    if pipe.transformer.proj_in.weight.dtype != torch.float32:
        raise UnsupportedError("expected a pipeline in float32; `StableAudioGenerator.load` takes other dtypes")
