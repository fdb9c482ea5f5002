"""A model between the two formats, and how its tensors are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagxai.conversion.settings import Sampling
from tagxai.lazy import torch

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """transformers' configuration and names of tensors; each tensor as it was stored."""

    config: Any  # MusicgenConfig
    state: Mapping[str, Any]
    tokenizer: Any
    sampling: Sampling


def write_tensors(path: Path, state: Mapping[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file({name: alone(tensor) for name, tensor in state.items()}, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors makes files that only their owner can read


def alone(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without the storage that it is a view of: else each third of a matrix is written as the whole."""
    whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if whole else tensor.clone(memory_format=torch.contiguous_format)
