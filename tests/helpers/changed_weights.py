"""Checkpoints with a tensor too few, or one too many: changes of a folder."""

import torch
from safetensors.torch import load_file, save_file


def _changed(file, change):
    def edit(copy):
        tensors = load_file(copy / file)
        change(tensors)
        save_file(tensors, copy / file, metadata={"format": "pt"})

    return edit


def without_tensor(file, name):
    """The file lacks the tensor of this name."""
    return _changed(file, lambda tensors: tensors.pop(name))


def with_tensor(file, name="superfluous.weight"):
    """The file has one more tensor, of this name."""
    return _changed(file, lambda tensors: tensors.update({name: torch.zeros(3)}))
