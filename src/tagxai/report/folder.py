"""The report of a folder, whichever command wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagxai import storage
from tagxai.contract.saved_folder import COMPARISON
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.editing import EDIT, Edit
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.kept_answers import kept
from tagxai.report.content import Content, content_of
from tagxai.report.figures import heat_maps
from tagxai.report.page import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(folder: str | Path, *, heatmap: bool = False) -> list[Path]:
    """Make the pages of the explanation, comparison or edit in `folder`; of the first two with `heatmap` also the
    pictures, which take a second of matplotlib. Raises DamagedFileError."""
    source = Path(folder)
    storage.settle(source)
    if (source / EDIT).is_file():
        return _write(source, render(content_of(Edit.load(source))))
    if not (source / COMPARISON).is_file():
        return _write_explanation(source, Explanation.load(source), heatmap)
    comparison = Comparison.load(source)
    own = [
        file
        for method, explanation in comparison.explanations.items()
        for file in _write_explanation(source / comparison.folder(method), explanation, heatmap)
    ]
    attributions = {name: each.attribution for name, each in comparison.explanations.items()}
    content = _with_answers(source, content_of(comparison))
    page = render(content, {name: f"{comparison.folder(name)}/report.html" for name in attributions})
    picture = heat_maps(attributions, comparison.intervals) if heatmap else None
    return [*_write(source, page, picture, "heatmaps.png"), *own]


def _write_explanation(folder: Path, explanation: Explanation, heatmap: bool) -> list[Path]:
    picture = explanation.attribution.plot(intervals=explanation.intervals) if heatmap else None
    page = render(_with_answers(folder, content_of(explanation)))
    return _write(folder, page, picture, "heatmap.png")


def _with_answers(folder: Path, content: Content) -> Content:
    """With what `tagxai ask` and `tagxai effects` have answered about the clip."""
    return replace(content, answers=kept(folder, content.clip))


def _write(folder: Path, page: str, picture: Figure | None = None, name: str = "") -> list[Path]:
    """The picture, then the page, which says that all is there."""
    files = [folder / "report.html"]
    if picture is not None:
        files.append(folder / name)
        with storage.whole_file(folder / name) as temporary:
            picture.savefig(temporary, format="png")
    storage.write_text(files[0], page)
    return files
