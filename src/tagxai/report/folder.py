"""The report of a folder, whichever command wrote it."""

from __future__ import annotations

from pathlib import Path

from tagxai import storage
from tagxai.contract.saved_folder import COMPARISON
from tagxai.report.comparison import write_comparison
from tagxai.report.page import write_explanation


def write_report(folder: str | Path) -> list[Path]:
    """Make the pages and pictures of the explanation, or the comparison, in `folder`. Raises DamagedFileError."""
    source = Path(folder)
    storage.settle(source)
    return write_comparison(source) if (source / COMPARISON).is_file() else write_explanation(source)
