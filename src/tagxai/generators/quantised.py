"""Models whose weights are integers: by `torch.ao`, by torchao, or by bitsandbytes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.contract.shortage import is_out_of_memory
from tagxai.contract.state import neutral_torch
from tagxai.errors import TagxaiError
from tagxai.generators.borrowing import Borrower
from tagxai.lazy import torch

_LIBRARIES = ("torch.ao.nn.quantized", "torchao", "bitsandbytes")


def check_torchao() -> None:
    """Raises TagxaiError where torchao is missing."""
    notes = logging.getLogger("torch.utils._pytree")
    level = notes.level
    notes.setLevel(logging.ERROR)  # of torch's, to the authors of torchao
    try:
        with warnings.catch_warnings(action="ignore"):
            import torchao.quantization  # noqa: F401
    except ImportError:
        raise TagxaiError("dtype int8 needs torchao: pip install 'tagxai[int8]', or use bfloat16") from None
    finally:
        notes.setLevel(level)


def keep_in_eight_bits(generator: Generator) -> None:
    """Keep the weights of the linear layers of its `eight_bit_parts` in 8 bits, each row with a scale of its own."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    with generator.given_back() if isinstance(generator, Borrower) else nullcontext():
        for part in generator.eight_bit_parts():
            quantize_(part, Int8WeightOnlyConfig())


def is_quantised(part: torch.nn.Module) -> bool:
    """Whether a module computes with integers, by its own class or that of its weight."""
    kinds = (type(part), type(getattr(part, "weight", None)))
    return any(kind.__module__.startswith(_LIBRARIES) for kind in kinds)


def dtype_of(matrix: Any, layer: Any) -> torch.dtype:
    """The dtype of a layer's `matrix`; where that is quantised, of the numbers beside it."""
    tensors = [getattr(matrix, "weight", None), *layer.parameters()]
    floats = (each.dtype for each in tensors if isinstance(each, torch.Tensor) and each.is_floating_point())
    return next(floats, torch.float32)


def without_derivative(models: Iterable[torch.nn.Module]) -> str | None:
    """The name of a quantised part through which no gradient passes. Each is tried: libraries change what they can."""
    with neutral_torch(), torch.enable_grad():
        for model in models:
            for name, part in model.named_modules():
                if is_quantised(part) and hasattr(part, "in_features") and not _passes_gradient(part):
                    return name
    return None


def _passes_gradient(part: Any) -> bool:
    weight = part.weight if isinstance(part.weight, torch.Tensor) else None
    dtype = weight.dtype if weight is not None and weight.is_floating_point() else torch.float32
    device = weight.device if weight is not None else None
    given = torch.ones(1, part.in_features, dtype=dtype, device=device, requires_grad=True)
    with warnings.catch_warnings(action="ignore"):  # torch.ao gives no gradient, and warns of it
        try:
            (gradient,) = torch.autograd.grad(part(given).sum(), given, allow_unused=True)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            return False
    return gradient is not None
