"""A report in the browser, of an explanation that was not saved."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from tempfile import mkdtemp

from tagxai.contract.attribution import Attribution
from tagxai.report.folder import write_report


def open_page(explanation: Attribution) -> Path:
    """Write the report into a new temporary folder, which stays, and open it."""
    folder = explanation.save(Path(mkdtemp(prefix="tagxai-")) / "explanation")
    page = next(file for file in write_report(folder) if file.suffix == ".html")
    webbrowser.open(page.as_uri())
    return page
