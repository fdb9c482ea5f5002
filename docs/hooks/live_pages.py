"""Makes the pages that the tutorial embeds: reports to hear, by this checkout's own code, when the site is built."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mkdocs.structure.files import File, Files

from tagxai.cli import app

PROMPT = "a dog barks followed by rain falling"
PAGES = {
    "explanation": ("explain", PROMPT, "--interval", "0:1.5", "--interval", "1.5:3"),
    "comparison": ("explain", PROMPT, "--method", "share_x_effect,shapley,random", "--set", "shapley.operator=delete"),
    "edit": ("edit", PROMPT, "--gain", "rain falling=0"),
}
"""Each page's name, and the command of the tutorial that makes it."""


def on_files(files: Files, config: Any) -> Files:
    for name, command in PAGES.items():
        files.append(File.generated(config, f"live/{name}.html", content=page(command)))
    return files


@cache  # `mkdocs serve` builds again and again
def page(command: tuple[str, ...]) -> str:
    with TemporaryDirectory() as folder:
        out = Path(folder, "OUT")
        app([*command, "--quiet", "--out", str(out)], prog_name="tagxai", standalone_mode=False)
        return (out / "report.html").read_text(encoding="utf-8")
