"""Which words of a sentence another version of it replaces or leaves out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from tagxai.text.words import Unit


def differing(units: Sequence[Unit], other: str) -> tuple[int, ...]:
    """The places in `units`, the words of a prompt, of those that `other` replaces or leaves out; case and punctuation
    make no difference. Empty where `other` only adds words.

    >>> words = [Unit(text, 0, 0, ()) for text in ("a", "dog", "barks,", "then", "rain", "falls")]
    >>> differing(words, "A cat meows, then rain falls")
    (1, 2)
    """
    said = [(place, _plain(unit.text)) for place, unit in enumerate(units) if not unit.special]
    matcher = SequenceMatcher(None, [text for _, text in said], list(map(_plain, other.split())), autojunk=False)
    changed = [range(first, last) for tag, first, last, _, _ in matcher.get_opcodes() if tag in ("replace", "delete")]
    return tuple(said[number][0] for part in changed for number in part)


def _plain(word: str) -> str:
    """A word in lower case without the punctuation around it, if it is more than that."""
    return (re.sub(r"^\W+|\W+$", "", word) or word).casefold()
