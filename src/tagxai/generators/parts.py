"""Small things that several backends need."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.errors import TagxaiError
from tagxai.lazy import torch


def trim(prompt: str, start: int, end: int) -> tuple[int, int]:
    """A token's offsets without the space that sentence-piece tokenizers count to the word after it."""
    while start < end and prompt[start].isspace():
        start += 1
    return start, end


def layers_of(layers: Iterable[Any], cross_attention: str) -> dict[str, list[torch.Tensor]]:
    """For `weights`: those of each layer, last first, its cross-attention apart."""
    parts = {}
    for i, layer in reversed(list(enumerate(layers))):
        named = list(layer.named_parameters())
        parts[f"layer{i}"] = [weight for name, weight in named if not name.startswith(f"{cross_attention}.")]
        parts[f"layer{i}.cross"] = [weight for name, weight in named if name.startswith(f"{cross_attention}.")]
    return parts


def check_fit(*pairs: tuple[str, Any, Any]) -> None:
    """What codec and language model each say of the same. Raises TagxaiError where they do not fit."""
    for what, codec, decoder in pairs:
        if codec != decoder:
            raise TagxaiError(f"codec and language model do not fit: {codec} and {decoder} {what}")


def check_defaults(generator: Generator) -> None:
    """Raises TagxaiError where a checkpoint's own defaults of sampling are not what its generator takes."""
    for setting in generator.sampling_settings():
        setting.read(setting.default)


@contextmanager
def quiet() -> Iterator[None]:
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
