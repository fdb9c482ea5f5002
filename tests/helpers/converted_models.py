"""Comparing checkpoints of either format, tensor by tensor."""

import torch
from safetensors.torch import load_file

from tagxai.generators.codes import self_test


def states(folder):
    """All tensors of a checkpoint of either format."""
    tensors = {}
    for path in sorted(folder.rglob("*.safetensors")):
        if path.name != self_test.TENSORS:
            tensors |= {(str(path.relative_to(folder)), name): value for name, value in load_file(path).items()}
    for path in sorted(folder.glob("*.bin")):
        state = torch.load(path, weights_only=True)["best_state"]
        tensors |= {(path.name, name): value for name, value in state.items()}
    return tensors


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
