"""Prompts as every tokenizer sees them: what looks the same in a prompt is the same to the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tagxai.text.visibility import is_blank, is_seen

_QUOTES = {**dict.fromkeys("\u2018\u2019\u201a\u201b", "'"), **dict.fromkeys("\u201c\u201d\u201e\u201f", '"')}


class Normalised(NamedTuple):
    """A prompt's text for the tokenizer, and for each of its characters the place of it in the prompt."""

    text: str
    places: tuple[int, ...]
    length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Characters [start, end) of the text as characters of the prompt."""
        first = self.places[start] if start < len(self.places) else self.length
        return (first, self.places[end - 1] + 1) if end > start else (first, first)


def normalise(prompt: str) -> Normalised:
    """Tabs, line breaks, control characters and runs of spaces become one space, with none at either end; curly quotes
    become straight ones; characters that nobody sees are dropped (`tagxai.text.visibility`).

    >>> normalise(" a dog\\u2019s\\t\\nbark ").text
    "a dog's bark"
    """
    kept: list[tuple[str, int]] = []
    for place, character in enumerate(prompt):
        if is_blank(character):
            if kept and kept[-1][0] != " ":
                kept.append((" ", place))
        elif is_seen(character, kept[-1][0] if kept else "", prompt[place + 1 : place + 2]):
            kept.append((_QUOTES.get(character, character), place))
    if kept and kept[-1][0] == " ":
        kept.pop()
    return Normalised("".join(each for each, _ in kept), tuple(place for _, place in kept), len(prompt))


def as_typed(text: str, special: Iterable[str]) -> str:
    """`text` with the first character of each of the tokenizer's own `special` tokens replaced, as long as before: what
    a person types is text, and `</s>` in it is no end.

    >>> as_typed("a dog</s> barks", ["</s>", "<pad>"])
    'a dog‹/s> barks'
    """
    for token in special:
        if token.strip():
            text = text.replace(token, ("‹" if token[0] == "<" else "\N{REPLACEMENT CHARACTER}") + token[1:])
    return text
