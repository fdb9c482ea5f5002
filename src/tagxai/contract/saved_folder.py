"""Which files belong to a saved explanation or comparison, and so are replaced by a new one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXPLANATION, COMPARISON = "explanation.json", "comparison.json"
KINDS = ("tagxai.explanation", "tagxai.comparison")
"""Schemas of the two, either of which may take the place of the other."""

DRAWN = ("report.html", "heatmap.png", "heatmaps.png")


def earlier(folder: Path) -> Iterator[str]:
    """The files of the result in `folder`, relative to it."""
    explanation, comparison = (_content(folder / name) for name in (EXPLANATION, COMPARISON))
    yield from (EXPLANATION, COMPARISON)
    if explanation.get("schema") in KINDS or comparison.get("schema") in KINDS:
        yield from DRAWN
    if explanation.get("schema") in KINDS:
        yield from _plain(explanation.get("sha256"))
    if comparison.get("schema") in KINDS and isinstance(methods := comparison.get("methods"), dict):
        for own in _plain(methods.values()):
            if _content(folder / own / EXPLANATION).get("schema") in KINDS and not (folder / own).is_symlink():
                yield from (f"{own}/{name}" for name in earlier(folder / own))


def _content(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(names: Any) -> list[str]:
    """Those that are names in one folder: what a file says may be anything."""
    return [name for name in names or () if isinstance(name, str) and is_plain(name)]


def is_plain(name: str) -> bool:
    """Whether it names something in a folder, and not elsewhere."""
    return Path(name).name == name and name not in ("", ".", "..")
