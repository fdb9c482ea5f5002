"""A take as a zip of exactly what `tagxai explain`, or `tagxai edit`, writes into its folder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile

from tagxai.explaining.kept_answers import keep
from tagxai.report.app.takes import Take
from tagxai.report.folder import write_report


def packed(take: Take, name: str) -> bytes:
    """The zip; its files are in a folder called `name`. Nothing of it stays on this machine."""
    buffer = BytesIO()
    with TemporaryDirectory(prefix="tagxai-app-") as temporary:
        folder = (take.edit or take.explanation).save(Path(temporary) / name)
        if take.contrast and not take.edit:
            keep(folder, take.clip, take.contrast.answer)
        write_report(folder)
        with ZipFile(buffer, "w", ZIP_DEFLATED) as file:
            for each in sorted(folder.rglob("*")):
                if each.is_file():
                    file.write(each, each.relative_to(temporary))
    return buffer.getvalue()
