"""How numbers of the record are compared, and what tells a difference of torch from a difference of the code."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager

import torch
from torch.nn import functional

TOLERANCE = 1e-6
"""What a number may differ by where it is at most 1; a larger number may differ by this share of its own value."""

OTHER_ARITHMETIC = 3e-5
"""The same on a processor where torch rounds otherwise than on that of the record.

Scores were seen to move by up to 1.4e-5 between processors, with the same code. A fault of the code moves them by far
more than 3e-5, and where the arithmetic is that of the record it has no more room than `TOLERANCE`.
"""


@contextmanager
def one_thread():
    """Sums over more threads round otherwise: by up to 8e-6 in these scores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def digest(tensors):
    """A digest of the tensors' shapes, types and bits."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def draws():
    """A digest of torch's random numbers: where it differs, random weights and seeded methods must differ."""
    random = torch.Generator().manual_seed(0)
    return digest(
        [
            torch.randn(64, generator=random),
            torch.rand(64, generator=random),
            torch.randperm(64, generator=random),
            torch.multinomial(torch.ones(64), 16, generator=random),
        ]
    )


def arithmetic():
    """A digest of how torch rounds on this processor, by no code of the package.

    Other instruction sets (AVX2 for AVX-512, say) add in another order.
    """
    random = torch.Generator().manual_seed(0)
    found = []
    for rows, width in ((1, 32), (7, 64), (24, 128), (200, 128)):
        x = torch.randn(rows, width, generator=random)
        w = torch.randn(width, 4 * width, generator=random)
        heads = torch.randn(2, 4, rows, width // 4, generator=random)
        found += [
            x @ w,
            (x @ w).log_softmax(-1),
            functional.gelu(x @ w),
            functional.layer_norm(x, (width,)),
            functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True),
            x.norm(dim=-1),
            x.sum(0),
        ]
    return digest(found)


def tolerance(recorded_arithmetic):
    """How far numbers may be from a record that was written where `arithmetic()` was `recorded_arithmetic`."""
    return TOLERANCE if arithmetic() == recorded_arithmetic else OTHER_ARITHMETIC


def excess(found, expected, tolerance=TOLERANCE):
    """The largest difference, as a multiple of what is allowed: above 1, they differ."""
    found, expected = (torch.as_tensor(each, dtype=torch.float64) for each in (found, expected))
    if found.shape != expected.shape or not torch.isfinite(found).all():
        return float("inf")
    if not found.numel():
        return 0.0
    return ((found - expected).abs() / (tolerance * expected.abs().clamp(min=1))).max().item()
