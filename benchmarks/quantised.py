"""What works on a model with quantised weights, and how far its scores are from those of the model before.

    uv run --with torchao --with bitsandbytes python benchmarks/quantised.py

For each way to quantise and each method: the largest difference of a score beside the largest score, or the sentence by
which the method is refused. The model is small and random, the clip 0.2 s; `torch.ao` needs nothing but torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import BitsAndBytesConfig, MusicgenForConditionalGeneration

from tagxai import Generator, TagxaiError, registry
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing import random_checkpoint


def by_torch_ao(plain: TransformersGenerator) -> TransformersGenerator:
    from torch.ao.quantization import quantize_dynamic

    model = quantize_dynamic(copy.deepcopy(plain.model), {torch.nn.Linear}, dtype=torch.qint8)
    return TransformersGenerator(model, plain.tokenizer)


def by_torchao(plain: TransformersGenerator, config: str) -> TransformersGenerator:
    from torchao import quantization

    model = copy.deepcopy(plain.model)
    quantization.quantize_(model.decoder, getattr(quantization, config)())
    return TransformersGenerator(model, plain.tokenizer)


def by_bitsandbytes(plain: TransformersGenerator) -> TransformersGenerator:
    config = BitsAndBytesConfig(load_in_8bit=True)
    model = MusicgenForConditionalGeneration.from_pretrained(plain.source, quantization_config=config)
    return TransformersGenerator(model, plain.tokenizer)


WAYS: dict[str, Callable[[TransformersGenerator], TransformersGenerator]] = {
    "torch.ao, dynamic": by_torch_ao,
    "torchao, weights": partial(by_torchao, config="Int8WeightOnlyConfig"),
    "torchao, weights and activations": partial(by_torchao, config="Int8DynamicActivationInt8WeightConfig"),
    "bitsandbytes, 8 bits": by_bitsandbytes,
}


def compared(name: str, plain: Generator, quantised: Generator) -> str:
    clip = plain.generate("a dog barks", duration=0.2, seed=3)
    try:
        found = registry().method(name)().attribute(quantised, clip)
    except TagxaiError as error:
        return f"refused: {error}"
    expected = registry().method(name)().attribute(plain, clip).scores
    mode = f", by {found.settings['mode']} mode" if found.settings.get("mode") in ("forward", "reverse") else ""
    return f"{(found.scores - expected).abs().max():.4f} beside {expected.abs().max():.4f}{mode}"


def main() -> None:
    with TemporaryDirectory() as folder:
        plain = TransformersGenerator.load(str(random_checkpoint(Path(folder))))
        for way, quantise in WAYS.items():
            try:
                quantised = quantise(plain)
            except ImportError as error:
                print(f"{way}: {error}")
                continue
            for name in registry().methods:
                print(f"{way}: {name}: {compared(name, plain, quantised)}", flush=True)


if __name__ == "__main__":
    main()
