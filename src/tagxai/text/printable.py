"""Text that a terminal or a figure can show as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def printable(text: str) -> str:
    """`text` with control characters written out, which a terminal or a figure would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
