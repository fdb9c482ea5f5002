"""Self-attention shown to edits some queries at a time, so that no square of the clip is in memory.

Softmax weights of all queries and keys grow with the square of a clip. An edit that is marked by `query_by_query` can
be shown them in blocks of queries; backends do so by `in_blocks` where all edits of a call can.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

from tagxai.contract.attention import AttentionSite, edits_of_call
from tagxai.lazy import Bool, Float, torch

AT_ONCE = 2**22
"""Weights in one block."""

Marked = TypeVar("Marked")


class QueryRows(NamedTuple):
    """Which queries the weights are of that an edit is shown: from `first` to before `stop`, of `queries` in all."""

    first: int
    stop: int
    queries: int


_rows: ContextVar[QueryRows | None] = ContextVar("tagxai_query_rows", default=None)


def query_rows(weights: Float[torch.Tensor, "batch heads queries keys"]) -> QueryRows:
    """For edits: the queries of these weights; all, where they were not shown in blocks."""
    return _rows.get() or QueryRows(0, weights.shape[2], weights.shape[2])


def query_by_query(edit: Marked) -> Marked:
    """Mark an edit, or a class of edits, whose result for a query depends on the weights of that query alone.

    It may be called several times in one call of a site, for one block of queries after another: `query_rows`. Keys
    after all queries of a block may be left out where a model hides them.
    """
    marked: Any = edit
    marked.query_by_query = True
    return edit


def in_blocks(
    site: AttentionSite,
    queries: int,
    numbers: int,
    attend: Callable[[slice], Float[torch.Tensor, "batch heads queries width"]],
) -> Float[torch.Tensor, "batch heads queries width"]:
    """For backends: what `attend` gives for all queries, at once or block by block; `numbers` are the weights of one.

    `attend` computes the weights of the queries that it is asked for, and shows them to the edits of this call.
    """
    size = max(1, AT_ONCE // numbers)
    apart = site.kind == "self" and all(hasattr(edit, "query_by_query") for edit in edits_of_call(site))
    if not apart or size >= queries:
        return attend(slice(0, queries))
    found = []
    for first in range(0, queries, size):
        rows = QueryRows(first, min(first + size, queries), queries)
        token = _rows.set(rows)
        try:
            found.append(attend(slice(rows.first, rows.stop)))
        finally:
            _rows.reset(token)
    return torch.cat(found, dim=2)


def later_keys(rows: slice, keys: int, device: torch.device) -> Bool[torch.Tensor, "rows keys"]:
    """The keys after each query, of which the last is the last key: what a causal model hides."""
    places = torch.arange(keys - (rows.stop - rows.start), keys, device=device)
    return torch.arange(keys, device=device) > places[:, None]
