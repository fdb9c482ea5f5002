"""Gains given by words or phrases, as a factor for each text token."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.text import words

LARGEST = 4.0
"""The largest gain: beyond it models leave what they were trained on."""


def token_gains(
    gains: Mapping[str, float], prompt: str, spans: Sequence[tuple[int, int]], tokens: Sequence[str]
) -> tuple[float, ...]:
    """A factor for each token: the gain of the words or phrase that it belongs to, and 1 for the rest.

    A text that occurs several times has its gain everywhere. Raises TagxaiError for a gain out of [0, 4], for a text
    that is not whole words of the prompt, or where two gains are about one word.
    """
    found = words.words(prompt, spans, tokens)
    factors: dict[int, float] = {}
    for text, gain in gains.items():
        if not (math.isfinite(gain) and 0 <= gain <= LARGEST):
            raise TagxaiError(f"the gain of {text!r} must be from 0 to {LARGEST:g}, not {gain:g}")
        places = [match.span() for match in re.finditer(_pattern(text), prompt, re.IGNORECASE)] if text.strip() else []
        mine = [
            word for word in found if any(a <= word.start and word.end <= b for a, b in places) and not word.special
        ]
        if not mine:
            raise UnknownNameError("word or phrase of the prompt", text, [w.text for w in found if not w.special])
        for word in mine:
            if any(token in factors for token in word.tokens):
                raise TagxaiError(f"two gains are about {word.text!r}; give each word one gain")
            factors |= dict.fromkeys(word.tokens, float(gain))
    return tuple(factors.get(i, 1.0) for i in range(len(tokens)))


def _pattern(text: str) -> str:
    """The text as whole words, whatever the white space between them."""
    return r"(?<!\w)" + r"\s+".join(map(re.escape, text.split())) + r"(?!\w)"
