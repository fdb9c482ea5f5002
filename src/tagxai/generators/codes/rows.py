"""How many rows a product of matrices needs before each row comes out as it would among any others.

A matrix library has one routine for a single row, another for a few and a third for many, which add up in different
orders. From some number of rows on, a row's result no longer depends on how many there are. Batches of at least as many
rows therefore give, bit for bit, the clips of one-by-one calls. The number is that of a processor: it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from tagxai.lazy import torch

_COUNTS = (1, 2, 3, 4, 5, 7, 8, 16, 33, 64)
_MANY = 128
_MOST = 1024  # rows: a library has no further routine beyond


def rows_that_agree(matrices: Iterable[torch.Tensor]) -> int | None:
    """The smallest number of rows that is safe for products with all of `matrices`; None where no number is.

    For float32 on a CPU. The values do not matter, only the shapes and torch's number of threads.
    """
    shapes = {tuple(matrix.shape) for matrix in matrices}
    found = [_measured(outputs, inputs, torch.get_num_threads()) for outputs, inputs in shapes]
    return max((each for each in found if each is not None), default=1) if None not in found else None


def passes_agree(matrices: Iterable[torch.Tensor], few: int, many: int) -> bool:
    """Whether `few` rows come out as they would among `many`, and so do their gradients, in products with all of
    `matrices`. For float32 on a CPU, as `rows_that_agree`."""
    shapes = {tuple(matrix.shape) for matrix in matrices}
    return all(_agree(*shape, few, min(many, _MOST), torch.get_num_threads()) for shape in shapes)


@cache
def _agree(outputs: int, inputs: int, few: int, many: int, threads: int) -> bool:
    random = torch.Generator().manual_seed(0)
    weight = torch.rand(outputs, inputs, generator=random, dtype=torch.float32) - 0.5

    def agree(product: Callable[[torch.Tensor], torch.Tensor], width: int) -> bool:
        rows = torch.rand(many, width, generator=random, dtype=torch.float32) - 0.5
        among = product(rows)
        first, last = product(rows[:few]), product(rows[-few:])
        return torch.equal(first, among[:few]) and torch.equal(last, among[-few:])

    forward = agree(lambda given: torch.nn.functional.linear(given, weight), inputs)
    return forward and agree(lambda gradient: gradient @ weight, outputs)


@cache
def _measured(outputs: int, inputs: int, threads: int) -> int | None:
    random = torch.Generator().manual_seed(0)
    weight = torch.rand(outputs, inputs, generator=random, dtype=torch.float32) - 0.5
    rows = torch.rand(_MANY, 1, inputs, generator=random, dtype=torch.float32) - 0.5
    expected = torch.nn.functional.linear(rows, weight)
    smallest = None
    for count in reversed(_COUNTS):
        if not torch.equal(torch.nn.functional.linear(rows[:count], weight), expected[:count]):
            break
        smallest = count
    return smallest
