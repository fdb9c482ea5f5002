"""The app as a user goes through it: before anything, a take, an edit, a contrast prompt, a history of takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROMPT, OTHER = "a dog barks while rain falls", "a siren wails while rain falls"
UNKNOWN = "a cat meows while rain falls"
STACKED, TALL = 900, 1900
"""Below this width the take is under the rail; pictures are then so high, as a frame out of sight is not drawn."""
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
PATIENCE = 120_000
"""Milliseconds for a take, on a busy machine."""


@contextmanager
def running() -> Iterator[str]:
    """The address of an app with the embedded model, on this machine alone."""
    import tagxai
    from tagxai.report.app.models import Model
    from tagxai.report.app.serving import App

    app, models = App(), [Model("tiny", tagxai.load_generator("tiny"))]
    server = threading.Thread(target=app.run, args=[models])
    server.start()
    try:
        yield app.address
    finally:
        app.stop()
        server.join()


def take_app(folder: Path, browser: Any, widths: tuple[int, ...], modes: dict[str, dict[str, Any]]) -> None:
    """A picture of each step in each mode and width: `app-STEP-MODE-WIDTH.png`."""
    with running() as address:
        for name, mode in modes.items():
            context = browser.new_context(**mode)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(address)
            for step in _steps(page):
                for width in widths:
                    page.set_viewport_size({"width": width, "height": TALL if width < STACKED else 900})
                    page.evaluate("scrollTo(0, 0)")
                    if page.locator("#frame").is_visible():
                        page.frame_locator("#frame").locator("body").evaluate(DRAWN)
                    page.wait_for_timeout(500)
                    page.screenshot(path=folder / f"app-{step}-{name}-{width}.png")
                page.set_viewport_size({"width": max(widths), "height": 900})
            context.close()


def _steps(page: Any) -> Iterator[str]:
    """Goes from step to step, and gives the name of each once it is shown."""
    yield "empty"
    _ask(page, prompt=PROMPT, contrast="")
    _shown(page, 1)
    yield "explain"
    page.get_by_label("rain falls", exact=True).fill("0.2")
    _shown(page, 2)
    page.get_by_label("Words of a dog barks").click()
    yield "edit"
    _ask(page, contrast=OTHER)
    _shown(page, 3)
    yield "contrast"
    _ask(page, prompt=UNKNOWN, contrast="")
    _shown(page, 4)
    page.get_by_label("A: take 1").click()
    page.get_by_label("B: take 2").click()
    page.frame_locator("#frame").locator("#player button:text-is('B: take 2')").wait_for()
    yield "history"
    page.select_option("#method", "audiogenx")
    _ask(page, prompt=PROMPT)
    page.locator("#jobs li").wait_for()
    yield "job"
    page.locator("#jobs button:text-is('Cancel')").click()
    page.locator("#jobs li").wait_for(state="detached")


def _ask(page: Any, **fields: str) -> None:
    for name, text in fields.items():
        page.fill(f"#{name}", text)
    page.click("#go")


def _shown(page: Any, number: int) -> None:
    page.locator(f"#history .current:has-text('Take {number}')").wait_for()
    page.frame_locator("#frame").locator("body.ready").wait_for()
