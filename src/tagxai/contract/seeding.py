"""Seeds for libraries that draw from global random numbers; tagxai's own code takes a generator instead."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from tagxai.lazy import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """All global random numbers drawn in the block come from `seed`; the states outside it are left as they were.

    They are those of Python, NumPy, and PyTorch on the CPU and on every CUDA device.
    """
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
