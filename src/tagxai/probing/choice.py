"""Layers and heads by number, as people write them."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.contract.attention import AttentionSite
from tagxai.errors import TagxaiError


def choose(kind: str, numbers: str | None, count: int) -> list[int]:
    """Layers or heads by number, written "0,3,-1" (-1 is the last); None is all of them. Raises TagxaiError."""
    if numbers is None:
        return list(range(count))
    try:
        chosen = [int(number) for number in numbers.split(",")]
    except ValueError:
        raise TagxaiError(f"{kind}s are numbers joined by commas, such as 0,3,-1; not {numbers!r}") from None
    for number in chosen:
        if not -count <= number < count:
            raise TagxaiError(f"no {kind} {number}: the model has {kind}s 0 to {count - 1} (-1 is the last)")
    return sorted({number % count for number in chosen})


def chosen_layers(sites: Sequence[AttentionSite], numbers: str | None) -> list[AttentionSite]:
    """The sites of the chosen layers, of sites with one to a layer. Raises TagxaiError."""
    return [sites[i] for i in choose("layer", numbers, len(sites))]
