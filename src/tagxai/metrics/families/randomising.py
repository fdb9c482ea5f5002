"""Copies of a generator whose trained weights are shuffled, part by part: the model is untouched."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from tagxai.contract.generator import Generator
from tagxai.contract.state import neutral_torch
from tagxai.errors import UnsupportedError
from tagxai.lazy import torch


def copy_to_randomise(generator: Generator) -> Generator:
    """A copy with its own weights. Raises UnsupportedError where it does not report them, or they are quantised.

    A model with none of these weights, such as a codec, is shared: torch cannot copy every codec.
    """
    reported = generator.parameters_by_part()
    if not reported:
        raise UnsupportedError(f"generator {generator.name!r} does not report the weights of its parts")
    if not all(part and all(map(_is_plain, part)) for part in reported.values()):
        raise UnsupportedError(f"generator {generator.name!r} has quantised weights, which cannot be shuffled")
    parts = {id(weight) for part in reported.values() for weight in part}
    shared: dict[int, object] = {}
    for model in generator.modules().values():
        if not any(id(weight) in parts for weight in model.parameters()):
            shared |= {id(held): held for held in (*model.modules(), *model.parameters())}
    with neutral_torch():  # a copy made in inference mode could not be differentiated
        return deepcopy(generator, shared)


def _is_plain(weight: torch.Tensor) -> bool:
    return type(weight) in (torch.Tensor, torch.nn.Parameter) and weight.is_floating_point()


def randomise(generator: Generator, parts: Iterable[str], seed: int) -> None:
    """Shuffle the entries of every weight in `parts`, in place: each keeps its scale and distribution, and loses what
    it learned."""
    random = torch.Generator().manual_seed(seed)
    weights = generator.parameters_by_part()
    with neutral_torch(), torch.no_grad():
        for part in parts:
            for weight in weights[part]:
                order = torch.randperm(weight.numel(), generator=random).to(weight.device)
                weight.copy_(weight.flatten()[order].view_as(weight))
