"""Global random numbers: seeded inside a block, untouched outside."""

import random
from contextlib import suppress

import numpy as np
import torch

from tagxai.contract.seeding import seeded


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_one_seed_gives_the_same_numbers_whatever_was_drawn_before():
    with seeded(7):
        first = draw()
    draw()
    with seeded(7):
        assert draw() == first
    with seeded(8):
        assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_numbers_outside_the_block_are_as_if_it_had_not_been():
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    expected = draw()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.random.set_rng_state(states[2])
    with suppress(KeyError), seeded(2**40):
        draw()
        raise KeyError
    assert draw() == expected
