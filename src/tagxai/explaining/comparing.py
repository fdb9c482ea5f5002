"""Explanations of one clip, put side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from tagxai.contract.attribution import Attribution
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation


@overload
def compare(*explanations: Attribution) -> Comparison: ...
@overload
def compare(*explanations: Mapping[str, Attribution]) -> Comparison: ...
def compare(*explanations: Any) -> Comparison:
    """Explanations of one clip as a `Comparison`, by their methods' names or by the keys of a mapping.

    Explanations by one method with several settings are numbered: "audiogenx", "audiogenx 2". Raises TagxaiError for
    explanations of different clips.
    """
    found: dict[str, Attribution] = {}
    for each in explanations:
        if isinstance(each, Attribution):
            found[_free(each.method, found)] = each
        elif isinstance(each, Mapping):
            found |= {_free(str(name), found): one for name, one in each.items()}
        else:
            raise TagxaiError(
                f"compare takes explanations of one clip, not {type(each).__name__} {each!r:.60}; to make them, write "
                "tagxai.explain(PROMPT, method=['audiogenx', 'shapley'])"
            )
    for name, one in found.items():
        if not isinstance(one, Attribution):
            raise TagxaiError(f"compare takes explanations of one clip, and {name!r} is {type(one).__name__}")
    return Comparison({name: Explanation(one) for name, one in found.items()})


def _free(name: str, taken: Mapping[str, Attribution]) -> str:
    number, label = 1, name
    while label in taken:
        number += 1
        label = f"{name} {number}"
    return label
