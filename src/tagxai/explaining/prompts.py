"""Prompts as the model reads them: encoded once for all that follows, and what the model cannot read in them."""

from __future__ import annotations

from math import inf

from tagxai.contract.generator import Generator
from tagxai.contract.values import Conditioning
from tagxai.lazy import torch
from tagxai.text import words


def encode(generator: Generator, prompt: str) -> Conditioning:
    """A prompt as `Request.conditioning` takes it."""
    with torch.no_grad():
        return generator.encode_prompt([prompt])


def prompt_warnings(generator: Generator, prompt: str, encoded: Conditioning | None = None) -> list[str]:
    """What a model cannot read in a prompt, a sentence for each problem; empty for most prompts."""
    encoded = encode(generator, prompt) if encoded is None else encoded
    (tokens,), (spans,) = encoded.tokens, encoded.spans
    found = list(generator.remarks(prompt))
    if strange := words.unknown(prompt, spans, tokens):
        shown = ", ".join(map(repr, strange[:3])) + (", ..." if len(strange) > 3 else "")
        found.append(
            f"the tokenizer of {generator.name!r} does not know {shown}: the model sees everything unknown as the same "
            "`<unk>` token"
        )
    longest = getattr(getattr(generator, "tokenizer", None), "model_max_length", inf)  # transformers: 1e30 if unknown
    if len(tokens) > longest:
        found.append(
            f"the prompt has {len(tokens)} tokens, and the text encoder of {generator.name!r} is made for at most "
            f"{longest}: generating will be slow, and the model may ignore part of the prompt"
        )
    return found


def duration_warnings(generator: Generator, duration: float | None) -> list[str]:
    """A sentence where a clip would be longer than those that the model was trained on, if that is known."""
    trained, timeline = generator.trained_duration, generator.timeline(duration)
    seconds = timeline.frames / timeline.frame_rate
    if trained is None or seconds <= trained:
        return []
    return [
        f"generator {generator.name!r} was trained on clips of up to {trained:g} s: the rest of {seconds:g} s "
        "may repeat itself or fall apart"
    ]
