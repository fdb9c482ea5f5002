"""A notebook, executed by a real kernel: results show the page, figures show themselves, and both play without it."""

from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

HELPERS = Path(__file__).parent.parent / "helpers"
CELLS = [
    f"import sys; sys.path.insert(0, {str(HELPERS)!r})\nimport pages\nfound = pages.attribution()",
    "found",
    "found.plot()",
    "found - pages.attribution(seed=1)",
    "found.generation",
]


@pytest.fixture(scope="module")
def outputs():
    """What each cell shows, by type."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [{kind: data for out in cell.outputs for kind, data in out["data"].items()} for cell in notebook.cells]


def test_a_figure_shows_itself_without_a_magic_command(outputs):
    assert len(outputs[2]["image/png"]) > 10_000


def test_what_a_notebook_stores_plays_offline(outputs, chromium, tmp_path):
    shown = "".join(outputs[cell]["text/html"] for cell in (1, 3, 4))
    file = tmp_path / "notebook.html"
    file.write_text(f"<!doctype html><title>notebook</title>{shown}", encoding="utf-8")
    context = chromium.new_context(offline=True)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    for number in range(3):
        frame = page.frame_locator("iframe").nth(number)
        frame.locator("body.ready").wait_for()
        frame.locator("#player .play").click()
        frame.locator("#player button:text-is('Pause')").wait_for()
    assert said == []
    context.close()
