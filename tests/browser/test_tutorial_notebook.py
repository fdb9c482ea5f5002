"""The documentation's notebook, executed by a real kernel; what it exports as HTML plays with no network."""

import json
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
nbconvert = pytest.importorskip("nbconvert")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
PLAYED = ["share_x_effect", "share_x_effect, occlusion, random", "share_x_effect - occlusion", ""]
"""The methods of the pages that it shows, in order."""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook, folder


def test_the_notebook_is_kept_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell["outputs"] for cell in cells if cell["cell_type"] == "code" and cell["outputs"]] == []


def test_every_cell_runs_and_says_what_it_should(executed):
    notebook, folder = executed
    shown = [each for cell in notebook.cells if cell.cell_type == "code" for each in cell.outputs]
    said = [each.get("text", "an error") for each in shown if each.output_type in ("stream", "error")]
    assert [text for text in said if "ipywidgets" not in text] == []  # of which tqdm wants a newer one, or any
    assert any("vanished: rain" in each.get("data", {}).get("text/plain", "") for each in shown)
    assert {file.name for file in folder.iterdir()} == {"OUT", "labels.txt"}


def test_its_html_export_plays_offline(executed, chromium, tmp_path):
    html, _ = nbconvert.HTMLExporter().from_notebook_node(executed[0])
    file = tmp_path / "tutorial.html"
    file.write_text(html, encoding="utf-8")
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto(file.as_uri(), wait_until="domcontentloaded")  # the export's own formulas come from a network
    frames = page.locator("iframe")
    assert frames.count() == len(PLAYED)
    for number, methods in enumerate(PLAYED):
        frames.nth(number).scroll_into_view_if_needed()
        frame = page.frame_locator("iframe").nth(number)
        frame.locator("body.ready").wait_for()
        data = json.loads(frame.locator("#data").text_content())
        assert ", ".join(method["name"] for method in data["methods"]) == methods
        frame.locator("#player .play").click()
        frame.locator("#now:not(:text-matches('^0.00'))").wait_for()
        frame.locator("#player .play").click()
    context.close()
