"""Loading whatever `tagxai explain` wrote into a folder."""

from __future__ import annotations

from pathlib import Path

from tagxai import storage
from tagxai.contract.attribution import Attribution
from tagxai.contract.saved_folder import COMPARISON
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation


def load_saved(folder: str | Path) -> Explanation | Comparison:
    """The explanation, or comparison, in a folder. Raises DamagedFileError."""
    source = Path(folder)
    with storage.reading(source):
        return Comparison.load(source) if (source / COMPARISON).is_file() else Explanation.load(source)


def load(folder: str | Path) -> Attribution | Comparison:
    """What `tagxai explain` or `save` wrote into a folder: the explanation, or the comparison of several methods.

    `tagxai.explaining.explanation.Explanation.load` also reads the intervals and audio of an explanation's folder.
    Raises DamagedFileError.
    """
    found = load_saved(folder)
    return found if isinstance(found, Comparison) else found.attribution
