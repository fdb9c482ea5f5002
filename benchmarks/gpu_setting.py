"""Where the checks of `gpu.py` run, and their models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

from full_size_latent_shapes import LATENT_SHAPES, build_latent
from full_size_shapes import SHAPES, build

PROMPT = "a dog bark while rain fall"


@dataclass(frozen=True)
class Setting:
    """Where the checks run, and whether with small shapes."""

    device: str
    small: bool

    @property
    def shapes(self) -> tuple[str, ...]:
        return ("small",) if self.small else ("musicgen-small", "audiogen-medium")

    @property
    def latent_shapes(self) -> tuple[str, ...]:
        return ("small-latent",) if self.small else ("stable-audio-open",)

    @property
    def dtype(self) -> str:
        return "float32" if self.device == "cpu" else "bfloat16"

    @property
    def batches(self) -> tuple[int, ...]:
        return (1, 4) if self.small else (1, 4, 16, 64)

    def wait(self) -> None:
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()


@cache
def model(shape: str, dtype: str, device: str) -> Any:
    """A model with random weights, the same on every device."""
    from tagxai.generators.transformers.model import TransformersGenerator

    made = build(SHAPES[shape], dtype)
    return TransformersGenerator(made.model.to(device), made.tokenizer)


def latent_model(shape: str, setting: Setting) -> Any:
    """A model that denoises latents, with random weights."""
    import torch

    made = build_latent(LATENT_SHAPES[shape], setting.dtype)
    made.levels = type(made).levels
    with torch.no_grad():
        made.transformer.proj_out.weight.mul_(1e-2)  # so that steps under guidance stay finite
    for part in made.modules().values():
        part.to(setting.device)
    return made


def release(setting: Setting) -> None:
    """Models that are not needed any more, so that the next one's peak is its own."""
    import gc

    model.cache_clear()
    gc.collect()
    if setting.device == "cuda":
        import torch

        torch.cuda.empty_cache()


def timed(setting: Setting, call: Callable[[], Any]) -> tuple[Any, float]:
    setting.wait()
    started = perf_counter()
    found = call()
    setting.wait()
    return found, perf_counter() - started
