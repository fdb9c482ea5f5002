"""Text that is safe to show in a terminal or a figure."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with control characters, which a terminal or a figure would act on, written out."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
