"""One attribution minus another of the same clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagxai.errors import TagxaiError

if TYPE_CHECKING:
    from tagxai.contract.attribution import Attribution


def difference(first: Attribution, second: Attribution) -> Attribution:
    """`first - second`: a signed attribution, with streams where either resolves them.

    Raises TagxaiError where the two are of different clips, or join a word's tokens in different ways.
    """
    if not first.generation.sounds_as(second.generation):
        raise TagxaiError("attributions of different clips have no difference; subtract those of one clip")
    if first.merge != second.merge:
        raise TagxaiError(
            f"{first.method!r} joins the tokens of a word by their {first.merge} and {second.method!r} by their "
            f"{second.merge}, so that their difference has no meaning; subtract methods that join them alike"
        )
    return type(first)(
        first.generation,
        first.scores - second.scores.to(first.scores),
        f"{first.method} - {second.method}",
        {f"{i}.{name}": value for i, each in enumerate((first, second), 1) for name, value in each.settings.items()},
        merge=first.merge,
    )
