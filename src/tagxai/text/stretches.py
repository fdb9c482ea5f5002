"""Stretches of a prompt that name one sound each, "a dog barks | while | rain falls", for gains by phrase.

They are wider than noun phrases: a noun that is turned down alone leaves its verb sounding.
"""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.text.words import Unit

_OPENING = {"a", "an", "the", "some", "its", "his", "her", "their", "this", "that", "is", "are", "being"}
"""Function words that belong to the sound that they are about."""
_LINKING = {"followed", "preceded", "accompanied", "then"}
"""Words with a meaning, which all the same only link two sounds."""


def stretches(prompt: str, words: Sequence[Unit]) -> tuple[tuple[int, ...], ...]:
    """The numbers of the words of each stretch; words that link two sounds, and `</s>`, are in none.

    >>> from tagxai.text.words import words
    >>> spans = [(0, 1), (1, 5), (5, 11), (11, 20), (20, 23), (23, 28)]
    >>> stretches("a dog barks followed by rain", words("a dog barks followed by rain", spans, "abcdef"))
    ((0, 1, 2), (5,))
    """
    found: list[list[int]] = [[]]
    for number, word in enumerate(words):
        text = word.text.lower()
        links = (word.function and text not in _OPENING) or text in _LINKING or word.special
        if not links:
            found[-1].append(number)
        if links or prompt[word.end : word.end + 1] in {",", ";", "."}:
            found.append([])
    return tuple(tuple(each) for each in found if any(not words[i].function for i in each))
