"""Residual codebooks by k-means: each explains what the ones before left over."""

import torch
from torch import Tensor

from tagxai.lazy import Float, Int


def nearest(points: Float[Tensor, "points dim"], book: Float[Tensor, "codes dim"]) -> Int[Tensor, " points"]:
    """Index of the nearest code by Euclidean distance."""
    return (points @ book.T - 0.5 * book.pow(2).sum(1)).argmax(1)


def kmeans(
    points: Float[Tensor, "points dim"], codes: int, rounds: int, generator: torch.Generator
) -> Float[Tensor, "codes dim"]:
    """Lloyd's algorithm; a code that few points use is moved onto a point that is badly served."""
    book = points[torch.randperm(len(points), generator=generator)[:codes]].clone()
    for turn in range(rounds):
        index = nearest(points, book)
        counts = torch.bincount(index, minlength=codes)
        sums = torch.zeros_like(book).index_add_(0, index, points)
        book = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], book)
        dead = (counts < 0.05 * len(points) / codes).nonzero()[:, 0]
        if len(dead) and turn < rounds - 5:
            error = (points - book[index]).pow(2).sum(1).clamp(min=1e-12)
            book[dead] = points[torch.multinomial(error, len(dead), generator=generator)]
    return book


def fit_residual_codebooks(
    points: Float[Tensor, "points dim"], codebooks: int, codes: int, rounds: int = 40, seed: int = 0
) -> tuple[list[Float[Tensor, "codes dim"]], list[float]]:
    """The codebooks, and the share of the points' energy left over after each."""
    generator = torch.Generator().manual_seed(seed)
    books, left, energy = [], [], points.pow(2).sum()
    for _ in range(codebooks):
        book = kmeans(points, codes, rounds, generator)
        points = points - book[nearest(points, book)]
        books.append(book)
        left.append(float(points.pow(2).sum() / energy))
    return books, left
