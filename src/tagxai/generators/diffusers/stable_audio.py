"""Stable Audio (Open 1.0 and its like) through diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Capability
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Conditioning
from tagxai.errors import UnsupportedError
from tagxai.generators.diffusers.attention import Editing, ProcessorSite
from tagxai.generators.diffusers.schedulers import CosineDPM
from tagxai.generators.diffusers.timed import TimedPipelineGenerator
from tagxai.generators.latents.model import Prediction
from tagxai.generators.latents.solvers import Solver
from tagxai.generators.parts import layers_of
from tagxai.lazy import Float, torch

_PARTS = {
    "transformer": "StableAudioDiTModel",
    "vae": "AutoencoderOobleck",
    "text_encoder": "T5EncoderModel",
    "projection_model": "StableAudioProjectionModel",
    "scheduler": "CosineDPMSolverMultistepScheduler",
    "tokenizer": "",
}


class StableAudioGenerator(TimedPipelineGenerator):
    """Stable Audio through diffusers, from a local folder or a hub id (default stabilityai/stable-audio-open-1.0).

    After a prompt's tokens come two that say when the clip starts and ends. The network always denoises its longest
    clip, and reads as many keys for every prompt: the others are zeros, which take a share of the attention.
    """

    name: ClassVar[str] = "stable_audio"
    pipeline: ClassVar[str] = "StableAudioPipeline"
    parts: ClassVar[Mapping[str, str]] = _PARTS
    default_source: ClassVar[str] = "stabilityai/stable-audio-open-1.0"
    timing: ClassVar[tuple[str, ...]] = ("<starts at>", "<total seconds>")
    offers: ClassVar[frozenset[Capability]] = TimedPipelineGenerator.offers | {"closes"}
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
        self.longest_prompt = self.tokenizer.model_max_length
        self._borrow(*self.modules().values())

    # -- the prompt ----------------------------------------------------------------------------------------------

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.text_encoder(input_ids=ids, attention_mask=mask)[0]
        return self.projection(text_hidden_states=states).text_hidden_states

    def _timing(self, seconds: float) -> Float[torch.Tensor, "2 dim"]:
        """The clip's start and end."""
        start, end = (torch.tensor([each], device=self.device) for each in (0.0, seconds))
        with torch.no_grad():
            said = self.projection(start_seconds=start, end_seconds=end)
        return torch.cat([said.seconds_start_hidden_states, said.seconds_end_hidden_states])[:, 0]

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
        net, seconds = self.transformer, timeline.frames / timeline.frame_rate
        exact = torch.autocast(self.device.type, enabled=False)  # only the layers are in a lower dtype
        with exact:
            text = self._timed(conditioning, seconds)
            text = torch.nn.functional.pad(text, (0, 0, 0, self.longest_prompt + 2 - text.shape[1]))
            text = net.cross_attention_proj(text).repeat_interleave(len(levels), 0)
            timing = net.global_proj(self._timing(seconds).flatten()[None])
            first = (timing + net.timestep_proj(net.time_proj(levels))).repeat(len(conditioning), 1)
            noisy = latents.transpose(1, 2)
            frames = net.proj_in((net.preprocess_conv(noisy) + noisy).transpose(1, 2))
            hidden = torch.cat([first[:, None], frames], 1)
        turns = _turns(net.config.attention_head_dim // 2, hidden)
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

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        rotary_emb: Any = None,
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
        return attn.to_out[0](self.mixed([(query, key)], value))


def _turns(width: int, states: Float[torch.Tensor, "rows queries dim"]) -> Any:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    turns = get_1d_rotary_pos_embed(width, states.shape[1], use_real=True, repeat_interleave_real=False)
    return tuple(each.to(states.device) for each in turns)


def _turned(states: torch.Tensor, turns: Any) -> torch.Tensor:
    from diffusers.models.embeddings import apply_rotary_emb

    width = turns[0].shape[-1]
    turned: Any = apply_rotary_emb(states[..., :width].float(), turns, use_real=True, use_real_unbind_dim=-2)
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
