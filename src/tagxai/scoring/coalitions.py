"""Coalitions: which units are kept, as masks over units, as masks over tokens, and as texts."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.lazy import Bool, torch
from tagxai.text.words import Unit


def leave_one_out(units: int) -> Bool[torch.Tensor, "coalitions units"]:
    """All units, then all but each one in turn."""
    return torch.cat([torch.ones(1, units, dtype=torch.bool), ~torch.eye(units, dtype=torch.bool)])


def all_subsets(units: int) -> Bool[torch.Tensor, "coalitions units"]:
    """Every subset; row r keeps the units whose bits are set in r."""
    return (torch.arange(2**units)[:, None] >> torch.arange(units)) & 1 == 1


def random_subsets(
    units: int, samples: int, *, by_size: bool = False, seed: int = 0
) -> Bool[torch.Tensor, "coalitions units"]:
    """`samples` subsets that keep each unit with probability 1/2; with `by_size`, each size from 1 to
    `units - 1` is equally likely, after all units and none. Returns all subsets where `samples` is enough for them.
    """
    if 2**units <= samples:
        return all_subsets(units)
    random = torch.Generator().manual_seed(seed)
    noise = torch.rand(samples, units, generator=random)
    if not by_size:
        return noise < 0.5
    sizes = torch.randint(1, units, (samples - 2,), generator=random)
    ends = torch.tensor([[True], [False]]).expand(2, units)
    return torch.cat([ends, noise[2:].argsort(1).argsort(1) < sizes[:, None]])


def permuted(orders: Sequence[Sequence[int]]) -> Bool[torch.Tensor, "coalitions units"]:
    """For each order of the units, the subsets that it builds up: none, its first, its first two, ... all."""
    ranks = torch.tensor([list(order) for order in orders]).argsort(1)
    sizes = torch.arange(ranks.shape[1] + 1)
    return (ranks[:, None] < sizes[None, :, None]).flatten(0, 1)


def token_masks(
    masks: Bool[torch.Tensor, "coalitions units"], units: Sequence[Unit], tokens: int
) -> Bool[torch.Tensor, "coalitions tokens"]:
    """Masks over units as masks over tokens; a token outside all units is kept."""
    kept = torch.ones(len(masks), tokens, dtype=torch.bool)
    for column, unit in enumerate(units):
        kept[:, list(unit.tokens)] = masks[:, column : column + 1]
    return kept


def without(prompt: str, units: Sequence[Unit], kept: Sequence[bool]) -> str:
    """The prompt with the characters of units that are not kept removed, and the gaps closed.

    Punctuation that no unit claims goes with the unit that it is written to, as its token does: without "dog",
    "a dog, barks" is "a barks".
    """
    claimed = {place for unit in units for place in range(unit.start, unit.end)}
    characters = list(prompt)

    def is_loose(place: int) -> bool:
        return 0 <= place < len(prompt) and place not in claimed and not prompt[place].isspace()

    for unit, keep in zip(units, kept, strict=True):
        if keep or unit.start == unit.end:
            continue
        start, end = unit.start, unit.end
        while is_loose(start - 1):
            start -= 1
        while is_loose(end):
            end += 1
        characters[start:end] = [""] * (end - start)
    return " ".join("".join(characters).split())
