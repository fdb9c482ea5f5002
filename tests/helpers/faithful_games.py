"""Games of random worth, for metrics that ask a model by removing words."""

import random
from itertools import product

import torch


def any_game(n, seed):
    """A random worth for every set of n words, as the metrics call it and as a dictionary."""
    draw = random.Random(seed)
    worth = {kept: draw.uniform(-5, 0) for kept in product([False, True], repeat=n)}
    return worth, lambda masks: torch.tensor([worth[tuple(row)] for row in masks.tolist()], dtype=torch.float64)


def kept(n, words):
    return tuple(word in words for word in range(n))
