"""What generators share that read a prompt by a tokenizer and a text encoder, whatever they make of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from typing import Any, ClassVar

from tagxai.contract.encoding import remember_conditioning
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import Conditioning, Generation, OnProgress
from tagxai.errors import TagxaiError
from tagxai.generators.jobs import Job
from tagxai.generators.parts import trim
from tagxai.lazy import torch


class PromptedGenerator(Generator):
    """A generator with a fast tokenizer; one with another overrides `_tokenize`."""

    default_guidance_scale: float = 3.0  # where a checkpoint names none
    max_tokens: ClassVar[int] = 4096  # of a prompt: attention in the text encoder takes the square of it

    source: str
    tokenizer: Any  # of transformers
    max_frames: int

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Dtype of the decoder's matrices. Where that is lower than float32, the rest may still be float32."""

    def _tokenize(self, prompt: str) -> tuple[Sequence[int], Sequence[str], Sequence[tuple[int, int]]]:
        """Token ids, their names, and their characters in the prompt; at least one token, also of an empty text."""
        encoded = self.tokenizer(prompt, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
        spans = [
            (len(prompt), len(prompt)) if is_special else trim(prompt, *offset)
            for offset, is_special in zip(encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
        ]
        return encoded["input_ids"], self.tokenizer.convert_ids_to_tokens(encoded["input_ids"]), spans

    @abstractmethod
    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token ids [batch, tokens] to embeddings of the decoder's width. Called without gradients."""

    def _lower(self) -> AbstractContextManager[Any]:
        """Only matrix products are in a lower dtype; norms and the sum of the layers stay as exact as the model has
        them. A word often changes log-probabilities by less than rounding that sum would."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        rows = [self._tokenize(prompt) for prompt in prompts]
        longest = max(len(ids) for ids, _, _ in rows)
        if longest > self.max_tokens:
            raise TagxaiError(f"the prompt has {longest} tokens; expected at most {self.max_tokens}")
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids, _, _ in rows], device=self.device)
        mask = torch.tensor([[i < len(ids) for i in range(longest)] for ids, _, _ in rows], device=self.device)
        with torch.no_grad():
            embeddings = self._embed(ids, mask.long()) * mask[..., None]
        return Conditioning(
            embeddings, mask, tuple(tuple(tokens) for _, tokens, _ in rows), tuple(tuple(spans) for *_, spans in rows)
        )

    def frames_of(self, duration: float | None) -> int:
        """Frames of a clip of `duration` seconds (None: the default). Raises TagxaiError for a bad duration."""
        seconds = min(self.default_duration, self.max_duration) if duration is None else duration
        frames = round(seconds * self.frame_rate) if isfinite(seconds * self.frame_rate) else 0
        if not 1 <= frames <= self.max_frames:
            raise TagxaiError(
                f"generator {self.name!r} cannot make {seconds:g} s: expected {1 / self.frame_rate:g} to "
                f"{self.max_duration:g} s"
            )
        return frames

    def generate_one(self, request: Request, *, on_progress: OnProgress | None = None) -> Generation:
        return self.generate_many([request], on_progress=on_progress)[0]

    def _generation(self, job: Job[Any], record: dict[str, torch.Tensor], waveform: torch.Tensor) -> Generation:
        """The clip that answers a job."""
        request, conditioning = job.request, job.conditioning
        generation = Generation(
            prompt=request.prompt,
            tokens=conditioning.tokens[0],
            spans=conditioning.spans[0],
            waveform=waveform,
            sample_rate=self.sample_rate,
            timeline=job.timeline,
            seed=request.seed,
            generator=f"{self.name}:{self.source}" if self.source else self.name,
            record=record,
            settings={**job.settings, "branch": request.branch},
        )
        remember_conditioning(self, generation, conditioning)
        return generation
