"""AudioLDM2 through diffusers: a U-Net over a spectrogram's latents, and a prompt that enters by two doors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from tagxai.contract.attention import AttentionSite
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.request import Setting
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Conditioning, Generation
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.diffusers.attention import Editing, ProcessorSite
from tagxai.generators.diffusers.pipelines import NEGATIVE_PROMPT, PipelineGenerator
from tagxai.generators.diffusers.schedulers import Scheduled
from tagxai.generators.latents.model import Prediction
from tagxai.generators.latents.solvers import Solver
from tagxai.lazy import Float, torch
from tagxai.probing.hooks import hook_before
from tagxai.text.normalising import as_typed, normalise

_PARTS = {
    "unet": "AudioLDM2UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "ClapModel",
    "text_encoder_2": "T5EncoderModel",
    "projection_model": "AudioLDM2ProjectionModel",
    "language_model": "",
    "scheduler": "DDIMScheduler",
    "vocoder": "SpeechT5HifiGan",
    "tokenizer": "",
    "tokenizer_2": "",
}


class AudioLDM2Generator(PipelineGenerator):
    """AudioLDM2 through diffusers, from a local folder or a hub id (default cvssp/audioldm2).

    The prompt enters by two doors, each with cross-attention of its own: T5's tokens, which are those that methods
    explain, and eight vectors that GPT-2 writes after having read T5's and CLAP's encodings (sites that read "gpt2").
    Words removed from the text are gone from both; a gate, or scaled embeddings, close the first alone. A gate of zeros
    is not the unconditional branch, which is an empty prompt's. A frame's attention is the mean over the bands of its
    spectrogram, and at the coarser levels of the U-Net that of several frames together.
    """

    name: ClassVar[str] = "audioldm2"
    pipeline: ClassVar[str] = "AudioLDM2Pipeline"
    parts: ClassVar[Mapping[str, str]] = _PARTS
    default_source: ClassVar[str] = "cvssp/audioldm2"
    default_duration: ClassVar[float] = 10.0
    default_guidance_scale = 3.5
    default_denoising_steps = 200

    def __init__(self, pipe: Any, *, source: str = "") -> None:
        """Wrap an `AudioLDM2Pipeline` in float32 (the matrices of its layers may be in a lower dtype). Its models are
        frozen and set to evaluation.

        Raises UnsupportedError for a text encoder, scheduler or tokenizer of another kind than AudioLDM2's.
        """
        self.unet, self.vae, self.vocoder = pipe.unet, pipe.vae, pipe.vocoder
        self.clap, self.text_encoder = pipe.text_encoder, pipe.text_encoder_2
        self.projection, self.language_model = pipe.projection_model, pipe.language_model
        self.clap_tokenizer, self.tokenizer, self.source = pipe.tokenizer, pipe.tokenizer_2, source
        self._scheduler = pipe.scheduler
        self.scheduler = {key: value for key, value in pipe.scheduler.config.items() if not key.startswith("_")}
        _check_supported(pipe)
        shrunk = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.bands = self.vocoder.config.model_in_dim // shrunk
        self.width = self.unet.config.in_channels * self.bands
        self.hop_length = shrunk
        for rate in self.vocoder.config.upsample_rates:
            self.hop_length *= rate
        self.sample_rate = self.vocoder.config.sampling_rate
        self.frame_rate = self.sample_rate / self.hop_length
        self.trained_duration = self.unet.config.sample_size / self.frame_rate
        self.max_frames = 4 * self.unet.config.sample_size
        self.max_duration = self.max_frames / self.frame_rate
        self._borrow(*self.modules().values())

    @property
    def layers(self) -> torch.nn.Module:
        return torch.nn.ModuleList([*self.unet.down_blocks, self.unet.mid_block, *self.unet.up_blocks])

    def sampling_settings(self) -> Sequence[Setting]:
        return (*super().sampling_settings(), NEGATIVE_PROMPT)

    # -- the prompt ----------------------------------------------------------------------------------------------

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.text_encoder(input_ids=ids, attention_mask=mask)[0]

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        text, longest = super().encode_prompt(prompts), self.tokenizer.model_max_length
        if text.embeddings.shape[1] > longest:
            raise TagxaiError(f"the prompt has {text.embeddings.shape[1]} tokens; expected at most {longest}")
        rows = [
            self._written(prompt, text.embeddings[row : row + 1, : len(tokens)])
            for row, (prompt, tokens) in enumerate(zip(prompts, text.tokens, strict=True))
        ]
        return replace(text, extras={"gpt2": torch.cat(rows)})

    def _written(
        self, prompt: str, tokens: Float[torch.Tensor, "1 tokens dim"], length: int | None = None
    ) -> Float[torch.Tensor, "1 vectors width"]:
        """The vectors that GPT-2 writes after T5's and CLAP's encodings of one prompt. The first `length` of T5's count
        (None: all)."""
        from diffusers import AudioLDM2Pipeline

        words = as_typed(normalise(prompt).text, self.clap_tokenizer.all_special_tokens)
        longest = self.clap_tokenizer.model_max_length
        read = self.clap_tokenizer(words, padding="max_length", max_length=longest, truncation=True)
        ids, mask = (torch.tensor([read[name]], device=self.device) for name in ("input_ids", "attention_mask"))
        with torch.no_grad():
            clap: Any = self.clap.get_text_features(ids, attention_mask=mask)
            clap = getattr(clap, "pooler_output", clap)[:, None]
            ones = [torch.ones(each.shape[:2], dtype=torch.long, device=self.device) for each in (clap, tokens)]
            ones[1][:, tokens.shape[1] if length is None else length :] = 0
            both = self.projection(clap, tokens, *ones)
            writer: Any = SimpleNamespace(language_model=self.language_model, device=self.device)
            return AudioLDM2Pipeline.generate_language_model(
                writer, both.hidden_states, max_new_tokens=None, attention_mask=both.attention_mask
            )

    def null(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> Conditioning:
        """The negative prompt, or an empty one, cut or padded to the prompt's number of tokens, as in diffusers: GPT-2
        counts padding among its positions."""
        prompt, longest = settings.get("negative_prompt") or "", conditioning.embeddings.shape[1]
        ids, tokens, spans = self._read(prompt)
        if len(ids) > longest:
            ids, tokens, spans = ([*each[: longest - 1], each[-1]] for each in (ids, tokens, spans))
        length = len(ids)
        with torch.no_grad():
            read = torch.tensor([ids], device=self.device)
            embeddings = torch.nn.functional.pad(self._embed(read, torch.ones_like(read)), (0, 0, 0, longest - length))
            written = self._written(prompt, embeddings, length)
        mask = torch.arange(longest, device=self.device)[None] < length
        null = Conditioning(embeddings, mask, (tuple(tokens),), (tuple(spans),), {"gpt2": written})
        return null.expand(len(conditioning))

    def ways_in(self, generation: Generation) -> Mapping[str, Conditioning]:
        own = conditioning_of(self, generation)
        null = self.null(own, generation.settings)
        return {
            "tokens of T5": replace(null, extras=own.extras),
            "vectors of GPT-2": replace(own, extras=null.extras),
        }

    # -- the network ---------------------------------------------------------------------------------------------

    def solver(self, settings: Mapping[str, Any]) -> Solver:
        return Scheduled(self._scheduler, settings["denoising_steps"], self.device)

    def noise(self, timeline: LatentFrames, random: torch.Generator) -> Float[torch.Tensor, "frames width"]:
        shape = self.unet.config.in_channels, timeline.frames, self.bands  # as diffusers draws it
        return torch.randn(shape, generator=random).transpose(0, 1).flatten(1)

    def _predict(
        self,
        latents: Float[torch.Tensor, "rows frames width"],
        levels: Float[torch.Tensor, " levels"],
        conditioning: Conditioning,
        timeline: LatentFrames,
    ) -> Prediction:
        count, seen = len(levels), list[torch.Tensor]()
        text, mask, written = (
            rows.repeat_interleave(count, 0)
            for rows in (conditioning.embeddings, conditioning.mask, conditioning.extras["gpt2"])
        )
        with hook_before(self.unet.conv_out, lambda module, given: seen.append(given[0])):
            noise = self.unet(
                latents.unflatten(2, (-1, self.bands)).transpose(1, 2),
                levels.repeat(len(conditioning)),
                encoder_hidden_states=written,
                encoder_hidden_states_1=text,
                encoder_attention_mask_1=mask,
                return_dict=False,
            )[0]
        noise, hidden = (each.transpose(1, 2).flatten(2).float() for each in (noise, seen[0]))
        return Prediction(noise, hidden)

    def target(
        self,
        read: Float[torch.Tensor, "levels frames width"],
        latents: Float[torch.Tensor, "frames width"],
        levels: Float[torch.Tensor, " levels"],
    ) -> Float[torch.Tensor, "levels frames width"]:
        """The noise in what the network read, if the rest of it is the final latents."""
        clean = self._scheduler.alphas_cumprod.to(levels.device)[levels.long()][:, None, None]
        return (read - clean.sqrt() * latents) / (1 - clean).sqrt()

    def decode_latents(
        self, latents: Float[torch.Tensor, "frames width"], timeline: LatentFrames
    ) -> Float[torch.Tensor, "channels samples"]:
        picture = latents.unflatten(1, (-1, self.bands)).transpose(0, 1)[None] / self.vae.config.scaling_factor
        sound = self.vocoder(self.vae.decode(picture).sample[:, 0])
        return sound[:, : timeline.frames * self.hop_length].float()

    # -- looking into it -----------------------------------------------------------------------------------------

    def attention_sites(self) -> Sequence[AttentionSite]:
        """The cross-attention of both doors; self-attention, among all bands of all frames, is not shown."""
        return [
            ProcessorSite(
                f"layer{i}.{each.reads}",
                i,
                "cross",
                self.levels * each.layer.attn2.heads,
                each.layer.attn2,
                each.layer,
                AudioLDM2Editing,
                levels=self.levels,
                stride=2**each.depth,
                bands=-(-self.bands // 2**each.depth),
                reads=each.reads,
            )
            for i, each in enumerate(_readers(self.unet))
        ]

    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {
            "unet": self.unet,
            "clap": self.clap,
            "text_encoder": self.text_encoder,
            "projection": self.projection,
            "language_model": self.language_model,
            "vae": self.vae,
            "vocoder": self.vocoder,
        }


class _Reader(NamedTuple):
    """A layer that reads a text, how often the U-Net has halved its picture there, and which text it is."""

    layer: Any
    depth: int
    reads: str


def _readers(unet: Any) -> Iterator[_Reader]:
    """In the order of the U-Net. Of a block's transformers side by side, those after the second read T5."""
    depth = 0
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        if getattr(block, "has_cross_attention", False):
            several = len(block.cross_attention_dim)
            for number, transformer in enumerate(block.attentions):
                place = number % several
                if block.cross_attention_dim[place] is not None:
                    for layer in transformer.transformer_blocks:
                        yield _Reader(layer, depth, "prompt" if place > 1 else "gpt2")
        depth += getattr(block, "downsamplers", None) is not None
        depth -= getattr(block, "upsamplers", None) is not None


class AudioLDM2Editing(Editing):
    """The plain attention of diffusers' U-Nets."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if not self.is_asked:
            return self.own(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        given = (attn.to_q(hidden_states), attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states))
        query, key, value = (each.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for each in given)
        bias = None if attention_mask is None else attention_mask[:, None]
        return attn.to_out[0](self.mixed([(query, key)], value, bias))


def _check_supported(pipe: Any) -> None:
    """Raises UnsupportedError."""
    for part, wanted in (("scheduler", _PARTS["scheduler"]), ("text_encoder_2", _PARTS["text_encoder_2"])):
        found = type(getattr(pipe, part)).__name__
        if found != wanted:
            raise UnsupportedError(f"this pipeline's {part} is a {found}; expected a {wanted}")
    config = pipe.scheduler.config
    for key, expected in (("prediction_type", "epsilon"), ("clip_sample", False), ("thresholding", False)):
        if config[key] != expected:
            raise UnsupportedError(f"this pipeline's scheduler has {key} {config[key]}; expected {expected}")
    if not pipe.tokenizer.is_fast or not pipe.tokenizer_2.is_fast:
        raise UnsupportedError("expected fast tokenizers")
    if not any(each.reads == "prompt" for each in _readers(pipe.unet)):
        raise UnsupportedError("this U-Net has no cross-attention to T5's tokens")
    if pipe.unet.conv_in.weight.dtype != torch.float32:
        raise UnsupportedError("expected a pipeline in float32; `AudioLDM2Generator.load` takes other dtypes")
