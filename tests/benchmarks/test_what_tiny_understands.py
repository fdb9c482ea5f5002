"""The page of what the embedded model understands is the grammar's own."""

from pathlib import Path

import what_tiny_understands

PAGE = Path(__file__).parents[2] / "docs" / "what-tiny-understands.md"


def test_the_page_is_what_the_program_writes():
    assert PAGE.read_text(encoding="utf-8") == what_tiny_understands.page(), (
        "run python benchmarks/what_tiny_understands.py docs/what-tiny-understands.md"
    )
