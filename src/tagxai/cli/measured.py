"""How right methods were where the truth is known, by committed results."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

FOOTNOTE = "right: average precision by truth on 90 held-out prompts of tiny, and its place; chance is 0.19"


@cache
def places() -> dict[str, str]:
    """For each method that was measured, its average precision and its place by it."""
    content = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    ordered = sorted(content["leaderboard"].values(), reverse=True)
    return {name: f"{value:.2f} ({ordered.index(value) + 1}.)" for name, value in content["leaderboard"].items()}
