"""When one attribution may be subtracted from another."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError


@runtime_checkable
class Subtractable(Protocol):
    """What decides it (`tagxai.contract.attribution.Attribution` is one)."""

    @property
    def generation(self) -> Generation: ...
    @property
    def method(self) -> str: ...
    @property
    def merge(self) -> str: ...


def check_subtractable(first: Subtractable, second: Subtractable) -> None:
    """Raises TagxaiError where the two are of different clips, or join the tokens of a word in different ways."""
    if not first.generation.sounds_as(second.generation):
        raise TagxaiError("attributions of different clips have no difference; subtract those of one clip")
    if first.merge != second.merge:
        raise TagxaiError(
            f"{first.method!r} joins the tokens of a word by their {first.merge} and {second.method!r} by their "
            f"{second.merge}, so that their difference has no meaning; subtract methods that join them alike"
        )
