"""Generators and methods by name, on a device and in a dtype."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Literal

from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.lazy import torch
from tagxai.registering.registry import registry
from tagxai.text import words

Device = Literal["auto", "cpu", "cuda", "mps", "sharded"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def choose_device(device: Device) -> str:
    """The device to load a model on. Loads torch."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {
        "cpu": True,
        "sharded": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[device]:
        raise TagxaiError(f"this machine has no {device} device that torch can use; use --device cpu")
    return device


def choose_dtype(dtype: Dtype, device: str) -> str:
    """The dtype of the weights on a device from `choose_device`. Loads torch only for cuda."""
    if dtype != "auto":
        return dtype
    on_cuda = device == "cuda" or (device == "sharded" and torch.cuda.is_available())
    return "bfloat16" if on_cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def load_generator(spec: str = "tiny", *, device: str = "cpu", dtype: str = "float32") -> Generator:
    """A generator by name, or by `name:source` where the source is a folder or hub id ("musicgen:./my-model")."""
    name, _, source = spec.partition(":")
    generator = registry().generator(name)
    if device == "sharded" and not generator.shards:
        raise UnsupportedError(f"generator {name!r} cannot be sharded; use one device, or the generator 'musicgen'")
    return generator.load(source or None, device=device, dtype=dtype)


def make_method(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """A method by name; option values may be text, as from the command line."""
    return registry().method(name).configure(options or {})


def prompt_warnings(generator: Generator, prompt: str) -> list[str]:
    """What a model cannot read in a prompt, a sentence for each problem; empty for most prompts."""
    (tokens,), (spans,) = (encoded := generator.encode_prompt([prompt])).tokens, encoded.spans
    found = []
    if strange := words.unknown(prompt, spans, tokens):
        shown = ", ".join(repr(word.text) for word in strange[:3]) + (", ..." if len(strange) > 3 else "")
        every = sum(not word.special for word in words.words(prompt, spans, tokens))
        found.append(
            f"the tokenizer of {generator.name!r} does not know {len(strange)} of the prompt's {every} words, or not "
            f"all of their characters ({shown}): the model sees everything unknown as the same `<unk>` token"
        )
    longest = getattr(getattr(generator, "tokenizer", None), "model_max_length", inf)  # transformers: 1e30 if unknown
    if len(tokens) > longest:
        found.append(
            f"the prompt has {len(tokens)} tokens, and the text encoder of {generator.name!r} is made for at most "
            f"{longest}: generating will be slow, and the model may ignore part of the prompt"
        )
    return found
