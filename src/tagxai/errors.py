"""The errors a user can cause, each a sentence: what was given, what was expected, and the choices."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TagxaiError(Exception):
    """A mistake in what was asked for. The command line prints its text alone and exits with 2."""


class UnknownNameError(TagxaiError, LookupError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, choices: Iterable[str], remark: str = "") -> None:
        known = sorted(choices)
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        super().__init__(f"no {kind} named {name!r}{hint} choices: {', '.join(known) or 'none'}{remark}")
        self.kind, self.name, self.choices, self.remark = kind, name, known, remark

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str], str]]:
        """Pickled by what it is made from, not by its text: a process that cannot read an error waits for ever."""
        return type(self), (self.kind, self.name, self.choices, self.remark)


class DuplicateNameError(TagxaiError):
    """Two plugins that register one name."""


class NotApplicableError(TagxaiError):
    """A question that has no answer here, through no fault of anybody: a metric of a truth that is not known, say.

    In a benchmark such a cell is "not applicable", which is neither failed nor missing.
    """


class UnsupportedError(NotApplicableError):
    """A method that needs what a generator does not offer, or a model of a shape that is not handled."""


class DamagedFileError(TagxaiError):
    """A file or folder that is not what tagxai wrote, or no longer whole."""


LONGEST = 600
"""Characters that are shown of an error of other people's code."""


def error_sentence(error: BaseException) -> str:
    """What went wrong, on one line; errors that are not tagxai's own are preceded by their type, and cut if long."""
    try:
        text = str(error)
    except BaseException:  # the text of other people's errors may be code, which may fail in its turn
        text = "an error that cannot be printed"
    if not isinstance(error, TagxaiError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        text = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    return " ".join(text.split())
