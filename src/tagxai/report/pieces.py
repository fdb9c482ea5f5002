"""A clip's prompt in pieces: the units that it is split into, and the text between them."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.contract.values import Generation
from tagxai.text import words
from tagxai.text.printable import printable
from tagxai.text.words import Unit


def units_by(clip: Generation) -> dict[str, tuple[Unit, ...]]:
    """The clip's words, phrases and tokens."""
    given = clip.prompt, clip.spans, clip.tokens
    return {"word": words.words(*given), "phrase": words.phrases(*given), "token": words.tokens(*given)}


def pieces(prompt: str, units: Sequence[Unit]) -> list[tuple[str, int]]:
    """The prompt as (text, number of its unit), with -1 for text of no unit. Units without characters show their name.

    >>> pieces("a dog, it barks", [Unit("dog", 2, 5, (0,)), Unit("barks", 10, 15, (1,)), Unit("</s>", 15, 15, (2,))])
    [('a ', -1), ('dog', 0), (', it ', -1), ('barks', 1), (' ', -1), ('</s>', 2)]
    """
    found: list[tuple[str, int]] = []
    last = 0
    for number, unit in sorted(enumerate(units), key=lambda each: (each[1].start, each[1].end)):
        start = max(last, unit.start)
        if start > last:
            found.append((printable(prompt[last:start]), -1))
        text = prompt[start : unit.end]
        if not text:  # `</s>`, or a token that shares its characters with the one before
            found += [(" ", -1)] if found else []
        found.append((printable(text or unit.text), number))
        last = max(last, unit.end)
    return [*found, (printable(prompt[last:]), -1)] if last < len(prompt) else found
