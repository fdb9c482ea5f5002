"""Prompts read by a tokenizer of transformers and a text encoder: for generators of any family."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from tagxai.contract.generator import Generator
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError
from tagxai.generators.parts import trim
from tagxai.lazy import torch
from tagxai.text.normalising import as_typed, normalise


class PromptReader(Generator):
    """A generator that encodes each prompt by itself. One without a fast tokenizer overrides `_tokenize`."""

    max_tokens: ClassVar[int] = 4096  # of a prompt: attention in the text encoder takes the square of it

    tokenizer: Any  # of transformers

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @abstractmethod
    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token ids [batch, tokens] to embeddings of the decoder's width. Called without gradients."""

    def _tokenize(self, prompt: str) -> tuple[Sequence[int], Sequence[str], Sequence[tuple[int, int]]]:
        """Token ids, their names, and their characters in the prompt; at least one token, also of an empty text."""
        typed = as_typed(prompt, self.tokenizer.all_special_tokens)
        encoded = self.tokenizer(typed, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
        names = self.tokenizer.convert_ids_to_tokens(encoded["input_ids"])
        spans = []
        for name, (start, end), is_special in zip(
            names, encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True
        ):
            if is_special:
                spans.append((len(prompt), len(prompt)))
            elif name == "▁" and not prompt[start:end].isspace():  # put before the first word
                spans.append((start, start))
            else:
                spans.append(trim(prompt, start, end))
        return encoded["input_ids"], names, spans

    def _read(self, prompt: str) -> tuple[Sequence[int], Sequence[str], Sequence[tuple[int, int]]]:
        """As `_tokenize`, of the normalised text; the characters are those of the prompt."""
        normalised = normalise(prompt)
        ids, tokens, spans = self._tokenize(normalised.text)
        return ids, tokens, [normalised.span(*span) for span in spans]

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        rows = [self._read(prompt) for prompt in prompts]
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
