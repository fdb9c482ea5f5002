"""Small games of a few units, and their scores in every coalition."""

from itertools import combinations

import pytest
import torch

from tagxai.scoring import (
    all_subsets,
    banzhaf_values,
    context_cite,
    kernel_shap,
    leave_one_out_values,
    lime,
    shapley_values,
)

N = 4


def both(kept):
    return {0, 1} <= kept


def either(kept):
    return bool({0, 1} & kept)


def additive(kept):
    return sum(i + 1 for i in kept)


def rough(kept):
    """No structure at all, yet the same each time."""
    return torch.rand((), generator=torch.Generator().manual_seed(sum(1 << i for i in kept))).item()


def scored(game, masks):
    return torch.tensor([float(game({i for i, keep in enumerate(row) if keep})) for row in masks.tolist()]).double()


def every(n=N):
    """All subsets, shuffled."""
    return all_subsets(n)[torch.randperm(2**n, generator=torch.Generator().manual_seed(0))]


def subsets_without(*units, n=N):
    others = [i for i in range(n) if i not in units]
    return [set(chosen) for size in range(len(others) + 1) for chosen in combinations(others, size)]


def approx(values):
    return pytest.approx(values, abs=1e-6)


VALUES = {
    "shapley": shapley_values,
    "banzhaf": banzhaf_values,
    "kernel_shap": kernel_shap,
    "lime": lambda masks, values: lime(masks, values, penalty=1e-9),
    "context_cite": lambda masks, values: context_cite(masks, values, penalty=1e-9, tolerance=1e-12),
    "leave_one_out": leave_one_out_values,
}
