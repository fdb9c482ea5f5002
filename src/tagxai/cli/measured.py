"""How right methods were where the truth is known, by committed results."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

FOOTNOTE = (
    "right: average precision by truth on 60 held-out prompts of tiny, and its place; chance is 0.19; * on 60 other "
    "prompts"
)


@cache
def places() -> dict[str, str]:
    """For each method that was measured, its average precision and its place by it."""
    content = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    values = {name: (value, "*") for name, value in content["default_method"].items()}
    values |= {name: (value, "") for name, value in content["leaderboard"].items()}
    ordered = sorted((value for value, _ in values.values()), reverse=True)
    return {name: f"{value:.2f}{star} ({ordered.index(value) + 1}.)" for name, (value, star) in values.items()}
