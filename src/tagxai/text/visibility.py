"""Which characters people see: blanks, characters that are never drawn, and joiners that change what is drawn.

The ranges are Unicode's Default_Ignorable_Code_Point (version 16, which only grows), with the characters that are not
text at all: surrogates, noncharacters, and marks of annotations. Marks of direction and variation selectors are among
them: they change how neighbours are laid out or coloured, not which they are.
"""

from __future__ import annotations

import re
from unicodedata import category, east_asian_width

_BLANK = "\u2800\u3164\uffa0"  # Braille without dots, and fillers of Hangul: drawn as a gap
_JOINERS = "\u200c\u200d"
_NEVER_DRAWN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)


def is_blank(character: str) -> bool:
    """Whether it is a gap: a space of any width, a line end, a control character."""
    return character.isspace() or character in _BLANK or category(character) == "Cc"


def is_seen(character: str, before: str, after: str) -> bool:
    """Whether a character that is no blank shows between its neighbours ("" at the ends).

    A joiner shows where it joins or parts letters of scripts that are written together, or makes one emoji of two.

    >>> is_seen("\\u200d", "\N{MAN}", "\N{PERSONAL COMPUTER}"), is_seen("\\u200d", "d", "o")
    (True, False)
    """
    if character in _JOINERS:
        return _joins(before) and _joins(after)
    return not _NEVER_DRAWN.match(character)


def _joins(character: str) -> bool:
    """Letters without case and marks, but not those of East Asia, which stand alone; emoji and arrows."""
    if not character or _NEVER_DRAWN.match(character) or is_blank(character):
        return False
    kind = category(character)
    return kind in ("So", "Sk", "Mn", "Mc") or (
        kind in ("Lo", "Sm") and not character.isascii() and east_asian_width(character) not in ("W", "H", "F")
    )
