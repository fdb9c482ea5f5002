"""Pipelines whose prompts end in tokens that say how long the clip is, and that take a negative prompt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tagxai.contract.request import Setting
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError
from tagxai.generators.diffusers.pipelines import NEGATIVE_PROMPT, PipelineGenerator
from tagxai.lazy import Float, torch


class TimedPipelineGenerator(PipelineGenerator):
    """After a prompt's tokens come those of `timing`, which say how long the clip is; the last of them is its end."""

    timing: ClassVar[tuple[str, ...]]

    transformer: Any
    longest_prompt: int  # in tokens, without `timing`

    @abstractmethod
    def _timing(self, seconds: float) -> Float[torch.Tensor, "timing dim"]:
        """What the network reads in place of each token of `timing`, for a clip of so many seconds."""

    @property
    def layers(self) -> torch.nn.Module:
        return self.transformer.transformer_blocks

    def sampling_settings(self) -> Sequence[Setting]:
        return (*super().sampling_settings(), NEGATIVE_PROMPT)

    def null(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> Conditioning:
        if not settings.get("negative_prompt"):
            return super().null(conditioning, settings)
        with torch.no_grad():
            return self.encode_prompt([settings["negative_prompt"]]).expand(len(conditioning))

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """With the timing of the longest clip; `_timed` puts in that of a clip."""
        text, count = super().encode_prompt(prompts), len(self.timing)
        longest = text.embeddings.shape[1]
        if longest > self.longest_prompt:
            raise TagxaiError(f"the prompt has {longest} tokens; expected at most {self.longest_prompt}")
        embeddings = torch.nn.functional.pad(text.embeddings, (0, 0, 0, count))
        mask = torch.nn.functional.pad(text.mask, (0, count))
        timing = self._timing(self.max_duration)
        for row, tokens in enumerate(text.tokens):
            own = slice(len(tokens), len(tokens) + count)
            embeddings[row, own], mask[row, own] = timing, True
        ends = [((len(prompt), len(prompt)),) * count for prompt in prompts]
        return Conditioning(
            embeddings,
            mask,
            tuple((*tokens, *self.timing) for tokens in text.tokens),
            tuple((*spans, *end) for spans, end in zip(text.spans, ends, strict=True)),
        )

    def _timed(self, conditioning: Conditioning, seconds: float) -> Float[torch.Tensor, "batch tokens dim"]:
        """The embeddings with the clip's own end in place of the longest clip's, as far as that is still there: a
        method may have scaled it or taken it away."""
        embeddings = conditioning.embeddings
        longest, own = self._timing(self.max_duration)[-1], self._timing(seconds)[-1]
        last = torch.tensor([len(tokens) - 1 for tokens in conditioning.tokens], device=embeddings.device)
        rows = torch.arange(len(conditioning), device=embeddings.device)
        there = (embeddings[rows, last] * longest).sum(-1, keepdim=True) / longest.square().sum()
        place = torch.nn.functional.one_hot(last, embeddings.shape[1])[..., None]
        return embeddings + place * (there * (own - longest))[:, None]
