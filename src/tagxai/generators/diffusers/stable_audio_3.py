"""Stable Audio 3 through diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Conditioning
from tagxai.errors import UnsupportedError
from tagxai.generators.diffusers.attention import Editing, ProcessorSite
from tagxai.generators.diffusers.ping_pong import PingPong
from tagxai.generators.diffusers.timed import TimedPipelineGenerator
from tagxai.generators.latents.model import Prediction
from tagxai.generators.latents.solvers import Euler, Solver
from tagxai.generators.parts import layers_of
from tagxai.lazy import Float, torch

_PARTS = {
    "transformer": "StableAudio3DiTModel",
    "vae": "AutoencoderSAME",
    "text_encoder": "T5GemmaEncoderModel",
    "duration_embedder": "StableAudio3DurationEmbedder",
    "scheduler": "FlowMatchEulerDiscreteScheduler",
    "tokenizer": "",
}


class StableAudio3Generator(TimedPipelineGenerator):
    """Stable Audio 3 through diffusers, from a local folder or a hub id (default stabilityai/stable-audio-3-medium).

    Its weights are differences of two attentions, and may be negative. After a prompt's tokens come its duration, and
    then as many learned vectors of padding as make every prompt equally long: they say something too, so that a gate
    of zeros on the prompt is not the unconditional branch, which is an empty prompt's. Memory tokens come before the
    frames. Distilled checkpoints take 8 steps without guidance, others 100.
    """

    name: ClassVar[str] = "stable_audio_3"
    pipeline: ClassVar[str] = "StableAudio3Pipeline"
    parts: ClassVar[Mapping[str, str]] = _PARTS
    default_source: ClassVar[str] = "stabilityai/stable-audio-3-medium"
    timing: ClassVar[tuple[str, ...]] = ("<total seconds>",)
    default_duration: ClassVar[float] = 10.0
    default_guidance_scale = 1.0

    def __init__(self, pipe: Any, *, source: str = "") -> None:
        """Wrap a `StableAudio3Pipeline` in float32 (the matrices of its layers may be in a lower dtype). Its models
        are frozen and set to evaluation.

        Raises UnsupportedError for a network, scheduler or tokenizer of another kind than Stable Audio 3's.
        """
        self.transformer, self.vae = pipe.transformer, pipe.vae
        self.text_encoder, self.duration_embedder = pipe.text_encoder, pipe.duration_embedder
        self.tokenizer, self.source = pipe.tokenizer, source
        self._scheduler = pipe.scheduler
        self.scheduler = {key: value for key, value in pipe.scheduler.config.items() if not key.startswith("_")}
        _check_supported(pipe)
        self.is_distilled = bool(pipe.scheduler.config.stochastic_sampling)
        self.default_denoising_steps = 8 if self.is_distilled else 100
        self.width = self.transformer.config.io_channels
        self.sample_rate = self.vae.config.sampling_rate
        self.frame_rate = self.sample_rate / self.vae.downsampling_ratio
        self.max_frames = int(self.duration_embedder.config.max_val * self.frame_rate)
        self.max_duration = self.max_frames / self.frame_rate
        self.longest_prompt = min(self.tokenizer.model_max_length, 256)  # whatever the tokenizer says, as diffusers
        self._borrow(*self.modules().values())

    # -- the prompt ----------------------------------------------------------------------------------------------

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.text_encoder(input_ids=ids, attention_mask=mask)[0]

    def null(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> Conditioning:
        with torch.no_grad():
            return self.encode_prompt([settings.get("negative_prompt") or ""]).expand(len(conditioning))

    def _timing(self, seconds: float) -> Float[torch.Tensor, "1 dim"]:
        """The clip's length."""
        with torch.no_grad():
            return self.duration_embedder(torch.tensor([seconds], device=self.device))

    # -- the network ---------------------------------------------------------------------------------------------

    def solver(self, settings: Mapping[str, Any]) -> Solver:
        from diffusers.pipelines.stable_audio_3.pipeline_stable_audio_3 import logsnr_sigma_schedule

        scheduler = type(self._scheduler).from_config(self._scheduler.config)
        scheduler.set_timesteps(sigmas=logsnr_sigma_schedule(settings["denoising_steps"], -6.2, 2.0))
        edges = scheduler.sigmas.to(self.device)
        return PingPong(edges) if self.is_distilled else Euler(edges)

    def noise(self, timeline: LatentFrames, random: torch.Generator) -> Float[torch.Tensor, "frames width"]:
        return torch.randn(self.width, timeline.frames, generator=random).T  # as diffusers draws it

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
            context = net.to_cond_embed(self._padded(conditioning, seconds)).repeat_interleave(len(levels), 0)
            time = net.to_timestep_embed(net.timestep_features(levels[:, None]))
            modulation = net.global_cond_embedder(net.to_global_embed(self._timing(seconds)) + time)
            modulation = modulation.repeat(len(conditioning), 1)
            noisy = latents.transpose(1, 2)
            states = net.proj_in((net.preprocess_conv(noisy) + noisy).transpose(1, 2))
            memory = net.config.num_memory_tokens
            if memory:
                states = torch.cat([net.memory_tokens.expand(len(states), -1, -1), states], 1)
            turns = net.rotary_pos_emb(states.shape[1], states.device)
        for layer in net.transformer_blocks:
            states = layer(states, context=context, global_modulation=modulation, rope=turns)
        with exact:
            hidden = states[:, memory:].float()
            velocity = net.proj_out(hidden).transpose(1, 2)
            return Prediction((net.postprocess_conv(velocity) + velocity).transpose(1, 2), hidden)

    def _padded(self, conditioning: Conditioning, seconds: float) -> Float[torch.Tensor, "batch keys dim"]:
        """Padding as the network has learned it, after tokens and duration; the order of keys says nothing to it."""
        padding = self.transformer.prompt_padding_embedding
        text = torch.where(conditioning.mask[..., None], self._timed(conditioning, seconds), padding)
        missing = self.longest_prompt + len(self.timing) - text.shape[1]
        return torch.cat([text, padding.expand(len(text), missing, -1)], 1)

    def decode_latents(
        self, latents: Float[torch.Tensor, "frames width"], timeline: LatentFrames
    ) -> Float[torch.Tensor, "channels samples"]:
        return self.vae.decode(latents.T[None]).sample[0].float().clamp(-1, 1)

    # -- looking into it -----------------------------------------------------------------------------------------

    def attention_sites(self) -> Sequence[AttentionSite]:
        sites: list[AttentionSite] = []
        prepended = self.transformer.config.num_memory_tokens
        for i, layer in enumerate(self.transformer.transformer_blocks):
            own, cross = layer.self_attn, layer.cross_attn
            site = (DifferentialEditing,)
            common = {"levels": self.levels, "prepended": prepended, "signed": own.use_differential}
            heads = self.levels * own.heads
            sites.append(ProcessorSite(f"layer{i}.self", i, "self", heads, own, layer, *site, scales=True, **common))
            sites.append(
                ProcessorSite(f"layer{i}.cross", i, "cross", heads, cross, layer, *site, padded=True, **common)
            )
        return sites

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {
            "transformer": self.transformer,
            "text_encoder": self.text_encoder,
            "duration_embedder": self.duration_embedder,
            "vae": self.vae,
        }

    def parameters_by_part(self) -> Mapping[str, Sequence[torch.Tensor]]:
        net, parts = self.transformer, dict[str, Sequence[torch.Tensor]]()
        parts["heads"] = [*net.proj_out.parameters(), *net.postprocess_conv.parameters()]
        parts |= layers_of(net.transformer_blocks, "cross_attn")
        return parts | {"text_encoder": [*self.text_encoder.parameters(), *net.to_cond_embed.parameters()]}


class DifferentialEditing(Editing):
    """Stable Audio 3's attention: the difference of two that share their values."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        context: torch.Tensor | None = None,
        context_mask: torch.Tensor | None = None,
        rope: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if not self.is_asked:
            if rope is not None:
                return self.own(attn, hidden_states, rope=rope)
            return self.own(attn, hidden_states, context=context, context_mask=context_mask)
        pairs = 2 if attn.use_differential else 1
        if context is None:
            found = attn.to_qkv(hidden_states).chunk(2 * pairs + 1, dim=-1)
        else:
            queries, others = attn.to_q(hidden_states).chunk(pairs, dim=-1), attn.to_kv(context)
            found = (*queries, *others.chunk(pairs + 1, dim=-1))
        *both, value = (each.unflatten(-1, (attn.heads, attn.dim_heads)) for each in found)
        normed = [attn.q_norm(each) for each in both[:pairs]], [attn.k_norm(each) for each in both[pairs:]]
        turned = [[self._turned(each, rope).transpose(1, 2) for each in side] for side in normed]
        return attn.to_out(self.mixed(list(zip(*turned, strict=True)), value.transpose(1, 2)))

    @staticmethod
    def _turned(states: torch.Tensor, turns: torch.Tensor | None) -> torch.Tensor:
        from diffusers.models.transformers.transformer_stable_audio3 import _apply_rotary_partial

        return states if turns is None else _apply_rotary_partial(states, turns)


def _check_supported(pipe: Any) -> None:
    """Raises UnsupportedError."""
    scheduler, wanted = pipe.scheduler, _PARTS["scheduler"]
    if type(scheduler).__name__ != wanted:
        raise UnsupportedError(f"this pipeline's scheduler is a {type(scheduler).__name__}; expected a {wanted}")
    if scheduler.config.num_train_timesteps != 1 or scheduler.config.invert_sigmas:
        raise UnsupportedError("this pipeline's scheduler does not give the network noise levels from 1 to 0")
    if pipe.transformer.config.patch_size != 1:
        raise UnsupportedError("this network joins several latent frames to one; expected a patch_size of 1")
    if not pipe.tokenizer.is_fast:
        raise UnsupportedError("expected a fast tokenizer")
    if pipe.transformer.proj_in.weight.dtype != torch.float32:
        raise UnsupportedError("expected a pipeline in float32; `StableAudio3Generator.load` takes other dtypes")
