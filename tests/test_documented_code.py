"""The Python that README and pages show runs as it stands, block after block in one namespace."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/tutorial.md", "docs/scoring.md", "docs/metrics.md", "docs/laboratory.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    complete = [block for block in blocks if "hookimpl" not in block]  # plugins: see testing/test_conformance.py
    assert complete
    shown = {"__name__": page}
    for block in complete:
        exec(block, shown)
