"""MusicGen's classes in transformers as a Generator: MusicGen, AudioGen in the same format, and the embedded model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float, Int

from tagxai.base import Generator
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.transformers_attention import TransformersSite
from tagxai.hooks import Gate, at_position, edit_attention
from tagxai.lazy import torch
from tagxai.types import Branch, Conditioning, Generation, OnProgress, Progress, StepOutput

if TYPE_CHECKING:
    from transformers import MusicgenForConditionalGeneration, PreTrainedTokenizerBase


class TransformersGenerator(Generator):
    """MusicGen through transformers, from a local folder or a hub id (default facebook/musicgen-small)."""

    name: ClassVar[str] = "musicgen"
    default_source: ClassVar[str] = "facebook/musicgen-small"
    default_duration: ClassVar[float] = 5.0  # seconds
    default_guidance_scale: ClassVar[float] = 3.0
    default_top_k: ClassVar[int] = 250
    default_temperature: ClassVar[float] = 1.0

    def __init__(
        self, model: MusicgenForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, *, source: str = ""
    ) -> None:
        """Wrap a loaded model; it is frozen and set to evaluation."""
        if not tokenizer.is_fast:
            raise UnsupportedError("a fast tokenizer is needed: a slow one gives no character offsets")
        self.model, self.tokenizer, self.source = model.eval().requires_grad_(False), tokenizer, source
        decoder, codec = model.decoder.config, model.audio_encoder.config
        self.channels: int = decoder.audio_channels
        self.codebooks: int = decoder.num_codebooks
        self.delays = tuple(q // self.channels for q in range(self.codebooks))  # left and right share a delay
        self.pad: Any = decoder.pad_token_id
        self.sample_rate = codec.sampling_rate
        self.frame_rate = codec.sampling_rate / codec.hop_length
        self.max_frames: int = decoder.max_position_embeddings - max(self.delays)
        self.max_duration = self.max_frames / self.frame_rate

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> TransformersGenerator:
        source = source or cls.default_source
        folder = Path(source).expanduser()
        if folder.is_dir():
            try:
                model, tokenizer = _from_pretrained(str(folder), dtype)
            except Exception as error:  # whatever a wrong folder makes transformers raise
                raise TagxaiError(f"folder {source!r} does not hold a MusicGen model: {_first_line(error)}") from None
        elif folder.exists() or source.startswith((".", "/", "~")) or source.count("/") != 1:
            raise TagxaiError(
                f"no model at {source!r}: expected a folder in transformers format or a hub id OWNER/NAME"
            )
        else:
            model, tokenizer = _from_hub(source, dtype)
        return cls(model.to(device), tokenizer, source=source)

    # -- making audio --------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str,
        *,
        duration: float | None = None,
        seed: int = 0,
        guidance_scale: float | None = None,
        top_k: int | None = None,
        temperature: float | None = None,
        mask: Float[torch.Tensor, "steps tokens"] | None = None,
        branch: Branch = "guided",
        on_progress: OnProgress | None = None,
    ) -> Generation:
        settings: dict[str, Any] = {
            "guidance_scale": self.default_guidance_scale if guidance_scale is None else guidance_scale,
            "top_k": self.default_top_k if top_k is None else top_k,
            "temperature": self.default_temperature if temperature is None else temperature,
            "branch": branch,
        }
        if not prompt.strip():
            raise TagxaiError("the prompt is empty; give some words, such as 'a dog barks while rain falls'")
        frames = self._frames(duration)
        conditioning = self.encode_prompt([prompt])
        steps = frames + max(self.delays)
        if mask is not None and mask.shape != (steps, len(conditioning.tokens[0])):
            raise ValueError(f"mask of shape {tuple(mask.shape)}; expected {(steps, len(conditioning.tokens[0]))}")
        with torch.no_grad(), ExitStack() as hooks:
            if mask is not None and branch != "unconditional":
                gate = Gate(mask.to(conditioning.embeddings))
                hooks.enter_context(edit_attention(self.cross_attention(), gate))
            codes = self._sample(conditioning.embeddings, frames, seed=seed, on_progress=on_progress, **settings)
            waveform = self.decode(codes)
        return Generation(
            prompt=prompt,
            tokens=conditioning.tokens[0],
            token_spans=conditioning.spans[0],
            codes=codes,
            waveform=waveform,
            sample_rate=self.sample_rate,
            frame_rate=self.frame_rate,
            delays=self.delays,
            seed=seed,
            generator=f"{self.name}:{self.source}" if self.source else self.name,
            settings=settings,
        )

    def _sample(
        self,
        embeddings: torch.Tensor,
        frames: int,
        *,
        seed: int,
        guidance_scale: float,
        top_k: int,
        temperature: float,
        branch: Branch,
        on_progress: OnProgress | None,
    ) -> Int[torch.Tensor, "codebooks frames"]:
        """Stream through the delay pattern with a key/value cache, one step a call. Temperature 0 is greedy."""
        from transformers import DynamicCache, EncoderDecoderCache

        null = torch.zeros_like(embeddings)  # the null condition: attention over zero values adds nothing
        halves = {"guided": [embeddings, null], "conditional": [embeddings], "unconditional": [null]}[branch]
        inputs, rows = torch.cat(halves), len(halves)
        config = self.model.decoder.config
        cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
        random = torch.Generator(device=embeddings.device).manual_seed(seed)
        delays = torch.tensor(self.delays, device=embeddings.device)
        steps = frames + max(self.delays)
        columns = torch.full((self.codebooks, steps + 1), self.pad, device=embeddings.device)
        for step in range(steps):
            with at_position(step, conditional_rows=1 if rows == 2 else None):
                hidden = self.model.decoder.model(
                    input_ids=columns[:, step : step + 1].repeat(rows, 1),
                    encoder_hidden_states=inputs,
                    past_key_values=cache,
                    use_cache=True,
                ).last_hidden_state
            logits = torch.stack([head(hidden[:, 0]) for head in self.model.decoder.lm_heads], dim=1).float()
            mixed = logits[0] if rows == 1 else logits[1] + guidance_scale * (logits[0] - logits[1])
            drawn = _draw(mixed, top_k, temperature, random)
            frame = step - delays
            columns[:, step + 1] = torch.where((frame >= 0) & (frame < frames), drawn, self.pad)
            if on_progress is not None:
                on_progress(Progress(step + 1, steps, "generating"))
        return torch.stack([columns[q, 1 + delay : 1 + delay + frames] for q, delay in enumerate(self.delays)])

    def decode(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        codec = self.model.audio_encoder
        with torch.no_grad():
            sides = [codes[side :: self.channels] for side in range(self.channels)]
            audio = [codec.decode(side[None, None], [None]).audio_values[0] for side in sides]
        return torch.cat(audio).float()

    def _frames(self, duration: float | None) -> int:
        seconds = min(self.default_duration, self.max_duration) if duration is None else duration
        frames = round(seconds * self.frame_rate)
        if not 1 <= frames <= self.max_frames:
            raise TagxaiError(
                f"generator {self.name!r} cannot make {seconds:g} s: expected {1 / self.frame_rate:g} to "
                f"{self.max_duration:g} s"
            )
        return frames

    # -- looking at it -------------------------------------------------------------------------------------------

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        encoded = self.tokenizer(
            list(prompts),
            padding=True,
            return_tensors="pt",
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        ids, mask = encoded["input_ids"].to(self.model.device), encoded["attention_mask"].to(self.model.device)
        with torch.no_grad():
            embeddings = self.model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            if hasattr(self.model, "enc_to_dec_proj"):
                embeddings = self.model.enc_to_dec_proj(embeddings)
            embeddings = embeddings * mask[..., None]
        lengths = mask.sum(1).tolist()
        tokens = [self.tokenizer.convert_ids_to_tokens(row[:n].tolist()) for row, n in zip(ids, lengths, strict=True)]
        spans = [
            tuple(
                (len(prompt), len(prompt)) if is_special else _trim(prompt, *offset)
                for offset, is_special in zip(offsets[:n].tolist(), special[:n].tolist(), strict=True)
            )
            for prompt, offsets, special, n in zip(
                prompts, encoded["offset_mapping"], encoded["special_tokens_mask"], lengths, strict=True
            )
        ]
        return Conditioning(embeddings, mask.bool(), tuple(map(tuple, tokens)), tuple(spans))

    def forward(
        self,
        generation: Generation,
        conditioning: Conditioning | None = None,
        *,
        branch: Branch = "conditional",
        log_prob: bool = True,
        isolated: bool = False,
    ) -> StepOutput:
        conditioning = conditioning or self.encode_prompt([generation.prompt])
        null = replace(conditioning, embeddings=torch.zeros_like(conditioning.embeddings))
        codes = generation.codes.to(self.model.device)
        hidden = self._hidden(codes, null if branch == "unconditional" else conditioning, isolated)
        if not log_prob:
            return StepOutput(hidden)
        if branch != "guided":
            return StepOutput(hidden, self._log_prob(codes, hidden))
        with at_position(0, conditional_rows=0):  # edits belong to the conditional branch
            null = replace(null, embeddings=null.embeddings[:1], mask=null.mask[:1])
            unconditional = self._hidden(codes, null, isolated)
        scale = generation.settings.get("guidance_scale", self.default_guidance_scale)
        return StepOutput(hidden, self._log_prob(codes, hidden, unconditional, scale))

    def _hidden(
        self, codes: torch.Tensor, conditioning: Conditioning, isolated: bool
    ) -> Float[torch.Tensor, "batch steps dim"]:
        """What the codebook heads read: the decoder's output after its final norm."""
        batch, steps = len(conditioning), codes.shape[1] + max(self.delays)
        columns = codes.new_full((self.codebooks, steps), self.pad)  # step t reads column t, and predicts column t + 1
        for q, delay in enumerate(self.delays):
            columns[q, 1 + delay : 1 + delay + codes.shape[1]] = codes[q, : steps - 1 - delay]
        inputs, embeddings, mask = columns.expand(batch, -1, -1), conditioning.embeddings, conditioning.mask
        if isolated:
            inputs = inputs.transpose(1, 2).reshape(batch * steps, self.codebooks, 1)
            embeddings, mask = embeddings.repeat_interleave(steps, 0), mask.repeat_interleave(steps, 0)
        hidden = self.model.decoder.model(
            input_ids=inputs.reshape(-1, inputs.shape[-1]),
            encoder_hidden_states=embeddings,
            encoder_attention_mask=None if mask.all() else mask.long(),
            use_cache=False,
        ).last_hidden_state
        return hidden.reshape(batch, steps, -1)

    def _log_prob(
        self, codes: torch.Tensor, hidden: torch.Tensor, unconditional: torch.Tensor | None = None, scale: float = 1.0
    ) -> Float[torch.Tensor, "batch codebooks frames"]:
        """Log-probabilities of `codes`, one codebook at a time so that only one vocabulary is in memory."""
        chosen = []
        for q, (head, delay) in enumerate(zip(self.model.decoder.lm_heads, self.delays, strict=True)):
            at = slice(delay, delay + codes.shape[1])
            logits = head(hidden[:, at]).float()
            if unconditional is not None:
                null = head(unconditional[:, at]).float()
                logits = null + scale * (logits - null)
            index = codes[q].expand(len(hidden), -1)[..., None]
            chosen.append(logits.log_softmax(-1).gather(-1, index)[..., 0])
        return torch.stack(chosen, dim=1)

    def attention_sites(self) -> Sequence[TransformersSite]:
        heads = self.model.decoder.config.num_attention_heads
        sites = []
        for i, layer in enumerate(self.model.decoder.model.decoder.layers):
            sites.append(TransformersSite(f"layer{i}.self", i, "self", heads, layer.self_attn))
            sites.append(TransformersSite(f"layer{i}.cross", i, "cross", heads, layer.encoder_attn))
        return sites


def _draw(logits: torch.Tensor, top_k: int, temperature: float, random: torch.Generator) -> torch.Tensor:
    """One code a row of `logits[codebooks, vocabulary]`."""
    if temperature == 0:
        return logits.argmax(-1)
    if 0 < top_k < logits.shape[-1]:
        smallest = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=random)[:, 0]


def _trim(prompt: str, start: int, end: int) -> tuple[int, int]:
    """A token's offsets without the space that sentence-piece tokenizers count to the word after it."""
    while start < end and prompt[start].isspace():
        start += 1
    return start, end


def _from_pretrained(source: str, dtype: str, **options: Any) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    with _quiet():
        model = MusicgenForConditionalGeneration.from_pretrained(source, dtype=getattr(torch, dtype), **options)
        return model, AutoTokenizer.from_pretrained(source, **options)


def _from_hub(source: str, dtype: str) -> tuple[Any, Any]:
    """From the local cache, else from the hub, asked once: transformers itself would try for half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return _from_pretrained(source, dtype, local_files_only=True)
    except (OSError, ValueError):
        pass  # not in the cache
    try:
        HfApi().model_info(source, timeout=10)
        return _from_pretrained(source, dtype)
    except RepositoryNotFoundError:
        raise TagxaiError(f"the model hub has no model {source!r}, or it is private") from None
    except Exception as error:  # the network has many ways to be absent
        raise TagxaiError(
            f"cannot load {source!r} from the model hub: no local copy, and no network ({_first_line(error)}); "
            "give a local folder, or use the generator 'tiny'"
        ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' own progress bars and notes, which belong to no one who only wants a sound."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if shown:
            transformers_logging.enable_progress_bar()
