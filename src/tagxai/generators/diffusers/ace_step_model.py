"""What explaining ACE-Step's caption and explaining its lyrics share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.request import Setting
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Conditioning, Generation
from tagxai.errors import UnsupportedError
from tagxai.generators.diffusers.ace_step_network import AceStepEditing, predict
from tagxai.generators.diffusers.ace_step_text import Reading, Written, read
from tagxai.generators.diffusers.attention import ProcessorSite
from tagxai.generators.diffusers.pipelines import PipelineGenerator
from tagxai.generators.diffusers.remembering import remembered
from tagxai.generators.latents.model import Guidance, Prediction
from tagxai.generators.latents.solvers import Euler, Solver
from tagxai.generators.parts import layers_of
from tagxai.lazy import Float, torch
from tagxai.text.normalising import as_typed, normalise

_PARTS = {
    "transformer": "AceStepTransformer1DModel",
    "vae": "AutoencoderOobleck",
    "text_encoder": "Qwen3Model",
    "condition_encoder": "AceStepConditionEncoder",
    "scheduler": "FlowMatchEulerDiscreteScheduler",
    "tokenizer": "",
}
_PEAK = 10 ** (-1 / 20)  # of every clip: -1 dB of full scale


class AceStep(PipelineGenerator):
    """ACE-Step with one of its two texts explained.

    The network reads one sequence of keys: the lyrics, a timbre, and the caption in its template. Of the text that is
    explained, edits see the words and the template after them, which has read the words; the rest is hidden, and so are
    the figures of the clip's length. The unconditional branch is a learned vector in place of every key, so that a gate
    of zeros is not that branch. A query stands for `patch_size` latent frames.
    """

    pipeline: ClassVar[str] = "AceStepPipeline"
    parts: ClassVar[Mapping[str, str]] = _PARTS
    default_source: ClassVar[str] = "ACE-Step/acestep-v15-xl-turbo-diffusers"
    default_duration: ClassVar[float] = 10.0
    longest: ClassVar[int]  # in tokens, of the explained text with its template
    explained: ClassVar[str]  # the text that is the prompt ...
    besides: ClassVar[str]  # ... and what else the network reads

    def __init__(self, pipe: Any, *, source: str = "") -> None:
        """Wrap an `AceStepPipeline` in float32 (the matrices of its layers may be in a lower dtype). Its models are
        frozen and set to evaluation.

        Raises UnsupportedError for a network, scheduler or tokenizer of another kind than ACE-Step's.
        """
        self.transformer, self.vae = pipe.transformer, pipe.vae
        self.text_encoder, self.condition_encoder = pipe.text_encoder, pipe.condition_encoder
        self.tokenizer, self.source = pipe.tokenizer, source
        self.scheduler = {key: value for key, value in pipe.scheduler.config.items() if not key.startswith("_")}
        _check_supported(pipe)
        config = self.transformer.config
        self.is_turbo = bool(config.is_turbo or config.model_version == "turbo")
        self.default_guidance_scale, self.default_denoising_steps = (1.0, 8) if self.is_turbo else (7.0, 50)
        self.width = config.audio_acoustic_hidden_dim
        self.sample_rate = self.vae.config.sampling_rate
        self.frame_rate = self.sample_rate / self.vae.hop_length
        self.max_frames = self.condition_encoder.silence_latent.shape[1]
        self.max_duration = self.max_frames / self.frame_rate
        self._borrow(*self.modules().values())

    @property
    def layers(self) -> torch.nn.Module:
        return self.transformer.layers

    def sampling_settings(self) -> Sequence[Setting]:
        _, steps = super().sampling_settings()
        highest = 1.0 if self.is_turbo else 100.0
        text = "Adaptive projected guidance; 1 is none, as a turbo checkpoint needs it."
        scale = Setting("guidance_scale", float, self.default_guidance_scale, text, 1.0, highest)
        return (scale, steps, Setting("shift", float, 3.0, "Above 1, more of the steps are near noise.", 0.01, 100))

    # -- the texts -----------------------------------------------------------------------------------------------

    @abstractmethod
    def _written(self, words: str, settings: Mapping[str, Any], seconds: float) -> Written:
        """The explained text, with its template."""

    @abstractmethod
    def _text_states(self, ids: torch.Tensor) -> Float[torch.Tensor, "batch tokens dim"]:
        """The explained text as the network's cross-attention reads it."""

    @abstractmethod
    def _others(self, settings: Mapping[str, Any], seconds: float) -> Float[torch.Tensor, "batch keys dim"]:
        """The keys of the text that is not explained."""

    def _typed(self, prompt: str) -> tuple[str, Sequence[int]]:
        """The words as the tokenizer is given them, and the place in the prompt of each character."""
        normalised = normalise(prompt)
        return normalised.text, normalised.places

    def _reading(self, words: str, settings: Mapping[str, Any], seconds: float) -> Reading:
        typed = as_typed(words, self.tokenizer.all_special_tokens)
        return read(self.tokenizer, self._written(typed, settings, seconds), self.longest)

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """With the default settings, and the length of the longest clip; `completed` puts in those of a clip."""
        typed = [self._typed(prompt) for prompt in prompts]
        readings = [self._reading(words, {}, self.max_duration) for words, _ in typed]
        states = [self._keys(reading.shown, {}, self.max_duration)[0] for reading in readings]
        ids = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(reading.shown, device=self.device) for reading in readings], batch_first=True
        )
        embeddings = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        lengths = torch.tensor([len(reading.shown) for reading in readings], device=self.device)
        spans = []
        for reading, (_, places), prompt in zip(readings, typed, prompts, strict=True):
            ends = [*places, len(prompt)]
            spans.append(tuple((ends[a], ends[b - 1] + 1) if b > a else (len(prompt),) * 2 for a, b in reading.spans))
        return Conditioning(
            embeddings,
            torch.arange(embeddings.shape[1], device=self.device) < lengths[:, None],
            tuple(tuple(reading.names) for reading in readings),
            tuple(spans),
            {"ids": ids, "encoded": embeddings},
        )

    def _keys(
        self, shown: Sequence[int], settings: Mapping[str, Any], seconds: float
    ) -> tuple[Float[torch.Tensor, "tokens dim"], Float[torch.Tensor, "keys dim"]]:
        """What the network reads for the shown tokens, and for the template's others, of a clip with these settings."""
        template = self._reading("a", settings, seconds)
        before, figures, cut = template.before, template.figures, len(shown) - template.after
        ids = [*before, *shown[:cut], *figures, *shown[cut:]]
        states = remembered(self, tuple(ids), lambda: self._text_states(torch.tensor([ids], device=self.device))[0])
        words, count = states[len(before) :], len(figures)
        return (
            torch.cat([words[:cut], words[cut + count :]]),
            torch.cat([states[: len(before)], words[cut : cut + count]]),
        )

    def completed(
        self, conditioning: Conditioning, settings: Mapping[str, Any], timeline: LatentFrames
    ) -> Conditioning:
        """The explained text as it is for this clip, as far as it is still there: a method may have scaled tokens or
        taken them away. With the keys of the other text."""
        if "ids" not in conditioning.extras:  # what stands for no prompt
            return conditioning
        seconds = timeline.frames / timeline.frame_rate + 1e-6  # its whole part is what counts
        encoded, embeddings = conditioning.extras["encoded"], conditioning.embeddings
        lengths = [len(tokens) for tokens in conditioning.tokens]
        rows = [row[:length] for row, length in zip(conditioning.extras["ids"].tolist(), lengths, strict=True)]
        shown, hidden = zip(*(self._keys(row, settings, seconds) for row in rows), strict=True)
        now = torch.nn.functional.pad(
            torch.nn.utils.rnn.pad_sequence(list(shown), batch_first=True),
            (0, 0, 0, embeddings.shape[1] - max(lengths)),
        )
        size = encoded.square().sum(-1, keepdim=True).clamp(min=torch.finfo(encoded.dtype).tiny)
        there = (embeddings * encoded).sum(-1, keepdim=True) / size
        others = self._others(settings, seconds).expand(len(rows), -1, -1)
        return replace(
            conditioning,
            embeddings=embeddings + there * (now - encoded),
            extras={"hidden": torch.cat([torch.stack(hidden), others], 1)},
        )

    def ways_in(self, generation: Generation) -> Mapping[str, Conditioning]:
        """The learned vector in place of the explained text, and in place of the other with the timbre; the template's
        own keys count with the explained text."""
        timeline, settings, own = generation.timeline, generation.settings, conditioning_of(self, generation)
        assert isinstance(timeline, LatentFrames)
        whole = self.completed(own, settings, timeline)
        learned, hidden = self.condition_encoder.null_condition_emb, whole.extras["hidden"]
        others = self._others(settings, timeline.frames / timeline.frame_rate + 1e-6).shape[1]
        template, rest = hidden[:, : hidden.shape[1] - others], hidden[:, hidden.shape[1] - others :]
        silent = torch.cat([learned.expand_as(template), rest], 1)
        return {
            self.explained: replace(whole, embeddings=learned.expand_as(own.embeddings), extras={"hidden": silent}),
            self.besides: replace(whole, extras={"hidden": torch.cat([template, learned.expand_as(rest)], 1)}),
        }

    def null(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> Conditioning:
        learned = self.condition_encoder.null_condition_emb.expand_as(conditioning.embeddings)
        return replace(conditioning, embeddings=learned, extras={})

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._text_states(ids)

    def _caption_states(self, ids: torch.Tensor) -> torch.Tensor:
        return self.condition_encoder.text_projector(self.text_encoder(input_ids=ids).last_hidden_state)

    def _lyrics_states(self, ids: torch.Tensor) -> torch.Tensor:
        embedded = self.text_encoder.get_input_embeddings()(ids)
        return self.condition_encoder.lyric_encoder(embedded, torch.ones_like(ids))

    def _timbre(self) -> Float[torch.Tensor, "1 1 dim"]:
        """What stands for the sound of a voice where none is given: silence."""
        silence = self.condition_encoder.silence_latent[:, : ceil(30 * self.frame_rate)]
        return self.condition_encoder.timbre_encoder(silence, torch.zeros(1, dtype=torch.long, device=self.device))[0]

    # -- the network ---------------------------------------------------------------------------------------------

    def solver(self, settings: Mapping[str, Any]) -> Solver:
        t, shift = torch.linspace(1, 0, settings["denoising_steps"] + 1), settings["shift"]
        return Euler((shift * t / (1 + (shift - 1) * t)).to(self.device))

    def guidance(self, settings: Mapping[str, Any]) -> Guidance:
        from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

        scale, momentum = settings["guidance_scale"] - 1, MomentumBuffer(-0.75)
        own: dict[str, Any] = {"eta": 0.0, "norm_threshold": 2.5, "use_original_formulation": True, "norm_dim": (1,)}
        return lambda given, null, step: normalized_guidance(given, null, scale, momentum, **own)

    def _predict(
        self,
        latents: Float[torch.Tensor, "rows frames width"],
        levels: Float[torch.Tensor, " levels"],
        conditioning: Conditioning,
        timeline: LatentFrames,
    ) -> Prediction:
        silence = self.condition_encoder.silence_latent[:, : timeline.frames]
        return predict(self.transformer, latents, levels, conditioning, silence)

    def decode_latents(
        self, latents: Float[torch.Tensor, "frames width"], timeline: LatentFrames
    ) -> Float[torch.Tensor, "channels samples"]:
        sound = self.vae.decode(latents.T[None]).sample[0].float()
        return sound * (_PEAK / sound.abs().amax().clamp(min=1e-6))

    # -- looking into it -----------------------------------------------------------------------------------------

    def attention_sites(self) -> Sequence[AttentionSite]:
        common = {"levels": self.levels, "padded": True, "stride": self.transformer.config.patch_size}
        return [
            ProcessorSite(
                f"layer{i}.cross",
                i,
                "cross",
                self.levels * layer.cross_attn.heads,
                layer.cross_attn,
                layer,
                AceStepEditing,
                **common,
            )
            for i, layer in enumerate(self.transformer.layers)
        ]

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {
            "transformer": self.transformer,
            "text_encoder": self.text_encoder,
            "condition_encoder": self.condition_encoder,
            "vae": self.vae,
        }

    def parameters_by_part(self) -> Mapping[str, Sequence[torch.Tensor]]:
        net, parts = self.transformer, dict[str, Sequence[torch.Tensor]]()
        parts["heads"] = [*net.proj_out_conv.parameters(), *net.norm_out.parameters(), net.scale_shift_table]
        parts |= layers_of(net.layers, "cross_attn")
        text = (self.text_encoder, self.condition_encoder, net.condition_embedder)
        return parts | {"text_encoder": [weight for part in text for weight in part.parameters()]}


def _check_supported(pipe: Any) -> None:
    """Raises UnsupportedError."""
    scheduler, wanted = pipe.scheduler, _PARTS["scheduler"]
    if type(scheduler).__name__ != wanted:
        raise UnsupportedError(f"this pipeline's scheduler is a {type(scheduler).__name__}; expected a {wanted}")
    if scheduler.config.num_train_timesteps != 1 or scheduler.config.shift != 1:
        raise UnsupportedError("this pipeline's scheduler does not take the network's own noise levels from 1 to 0")
    if not pipe.tokenizer.is_fast:
        raise UnsupportedError("expected a fast tokenizer")
    if pipe.transformer.proj_in_conv.weight.dtype != torch.float32:
        raise UnsupportedError("expected a pipeline in float32; `AceStepGenerator.load` takes other dtypes")
