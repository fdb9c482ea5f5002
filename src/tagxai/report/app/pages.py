"""The app's own page: the rail, and the frame in which a take's page is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagxai.explaining.gains import LARGEST
from tagxai.report.app import bounds
from tagxai.report.app.models import Model
from tagxai.report.html import content_hash, resource, template, text_of_script

SCRIPT = ("dom", *(f"app/script/{name}" for name in ("talk", "ask", "jobs", "sliders", "history", "app")))
"""The files of the rail's script, in the order in which they need one another."""


def app_page(models: Sequence[Model]) -> tuple[str, str]:
    """The page, and its content security policy: its own script and style, its own server, and nothing else."""
    script, style = text_of_script(SCRIPT), resource("style.css") + resource("app/style.css")
    policy = (
        f"default-src 'none'; script-src {content_hash(script)}; style-src {content_hash(style)}; connect-src 'self'; "
        "frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    data: dict[str, Any] = {
        "models": [model.offer() for model in models],
        "largest": LARGEST,
        "prompt": bounds.PROMPT,
    }
    return template("app/app.html.j2").render(data=data, script=script, style=style, prompt=bounds.PROMPT), policy


FRAMED = "frame-ancestors 'self'; sandbox allow-scripts allow-downloads"
"""The policy of a take's page, beside the one that it holds itself: framed by the app alone, and cut off from it."""
