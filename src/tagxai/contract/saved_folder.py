"""The files of a saved explanation or comparison: which they are, so that a new one replaces them, and whether they are
as they were written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.errors import DamagedFileError

EXPLANATION, COMPARISON = "explanation.json", "comparison.json"
KINDS = ("tagxai.explanation", "tagxai.comparison")
"""Schemas of the two, either of which may take the place of the other."""

VERSION = 3
"""The version of saved explanations. 1 and 2, which are still read, know codes alone; 1 has no `deviation`."""

DRAWN = ("report.html", "heatmap.png", "heatmaps.png")


def verified(folder: Path) -> dict[str, Any]:
    """What explanation.json of a folder holds. Raises DamagedFileError if a file that it names is missing or changed,
    or it is of another schema."""
    file = folder / EXPLANATION
    if folder.is_file():
        raise DamagedFileError(f"{folder} is a file; give the folder that holds it, {folder.parent}")
    if not file.is_file() and (held := storage.held_in(folder)):
        raise DamagedFileError(f"{folder} holds {held}; expected the folder of one explanation or comparison")
    content = storage.read_json(file)
    if content.get("schema") != KINDS[0]:
        raise DamagedFileError(f"{file} is not a tagxai explanation")
    if content.get("schema_version") not in range(1, VERSION + 1):
        raise DamagedFileError(
            f"{folder} has schema version {content.get('schema_version')}; this tagxai reads 1 to {VERSION}"
        )
    try:
        own = content["sha256"].pop(EXPLANATION)
        if storage.json_sha256(content) != own:
            raise DamagedFileError(f"{file} is damaged: it was changed after it was written")
        for name, digest in content["sha256"].items():
            if not (folder / name).is_file() or storage.sha256(folder / name) != digest:
                raise DamagedFileError(f"{folder / name} is missing or not the file that was written")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedFileError(f"{file} is damaged: {error}") from None
    return content


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
