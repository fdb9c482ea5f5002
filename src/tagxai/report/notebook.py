"""The page in a notebook's cell: a frame that holds all of it, so that the notebook plays without its kernel."""

from __future__ import annotations

from html import escape
from typing import Any

from tagxai.report.content import content_of
from tagxai.report.page import render

HEIGHT = 620  # pixels; the reader can drag the frame's corner


def notebook_html(value: Any) -> str:
    """The page of a clip, an attribution, an explanation, a comparison or an edit as a frame.

    The frame may run the page's own script and save files, and can reach neither the notebook nor a network.
    """
    content = content_of(value)
    return (
        f'<iframe srcdoc="{escape(render(content))}" title="{escape(content.heading)}" width="100%" '
        f'height="{HEIGHT}" sandbox="allow-scripts allow-downloads" allow="clipboard-write" '
        'style="border: 0; resize: vertical"></iframe>'
    )
