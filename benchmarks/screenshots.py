"""Every kind of page in every theme and width, to look at: report, comparison, edit, clip, notebook, benchmark, app.

uv run python benchmarks/screenshots.py --out FOLDER [--only app]

The pages are made once, by the embedded model, and reused by later runs with the same FOLDER. Needs `chromium`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app_screenshots import take_app

PROMPT = "a dog barks followed by rain falling"
WIDTHS = (1440, 768, 375)
MODES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
    "still": {"reduced_motion": "reduce"},
    "print": {"color_scheme": "dark"},
}
PICTURE = {"width": 1100, "height": 760}
"""The size of README's picture, in CSS pixels."""


def make_pages(folder: Path) -> dict[str, str]:
    """The address of each page, which is made where it is missing."""
    import tagxai
    from tagxai.benchmark import results
    from tagxai.benchmark.plan_options import make_plan
    from tagxai.benchmark.running import run
    from tagxai.explaining.comparison import Comparison
    from tagxai.explaining.explanation import Explanation
    from tagxai.explaining.hearing import heard_sentence
    from tagxai.explaining.listening import listen
    from tagxai.report import write_report
    from tagxai.report.benchmark import write_benchmark

    files = {name: folder / name / "report.html" for name in ("comparison", "edit", "clip", "notebook", "benchmark")}
    files["report"] = folder / "comparison" / "share_x_effect" / "report.html"
    if not all(file.is_file() for file in files.values()):
        model = tagxai.load_generator("tiny")
        clip = model.generate(PROMPT)
        heard, found = heard_sentence(model, clip), {}
        for name in ("share_x_effect", "audiogenx", "daam"):
            attribution = tagxai.explain(clip, method=name, generator=model)
            found[name] = Explanation(attribution, [(0.0, 1.5), (1.5, 3.0)], listen(model, attribution), heard)
        Comparison(found).save(folder / "comparison", force=True)
        gains = {"rain falling": 0.3, "a dog barks": 1.5}
        tagxai.edit(clip, gains, generator=model).save(folder / "edit", force=True)
        for name in ("comparison", "edit"):
            write_report(folder / name)
        for name, html in (("clip", clip._repr_html_()), ("notebook", found["share_x_effect"]._repr_html_())):
            files[name].parent.mkdir(parents=True, exist_ok=True)
            files[name].write_text(f"<!doctype html><title>{name}</title>{html}", encoding="utf-8")
        plan = {"generators": ["tiny"], "methods": ["daam", "cross_attention"], "metrics": ["mask_size", "roc_auc"]}
        run(make_plan({**plan, "prompts": [PROMPT], "device": "cpu"}), folder / "benchmark")
        write_benchmark(results.load(folder / "benchmark"), folder / "benchmark")
    return {name: file.resolve().as_uri() for name, file in files.items()}


def shots(pages: dict[str, str]) -> Iterator[tuple[str, str, str, int]]:
    """Name of the picture, address, mode and width."""
    for name, address in pages.items():
        selected = f"{address}#t=0,1.48" if name in ("report", "comparison") else address
        for mode in MODES:
            for width in WIDTHS if mode in ("light", "dark") else WIDTHS[:1]:
                yield f"{name}-{mode}-{width}.png", selected, mode, width


@contextmanager
def browsing(program: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


def take(folder: Path, pages: dict[str, str], browser: Any) -> None:
    for name, address, mode, width in shots(pages):
        page = browser.new_page(viewport={"width": width, "height": 900}, **MODES[mode])
        _open(page, address)
        if mode == "print":
            page.emulate_media(media="print")
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.screenshot(path=folder / name, full_page=True)
        page.close()
    page = browser.new_page(viewport=PICTURE, color_scheme="light")
    _open(page, f"{pages['report']}#t=0,1.48")
    page.screenshot(path=folder / "page.png")
    page.close()


def _open(page: Any, address: str) -> None:
    """Wait until the page, or the one in its frame, has drawn its sound."""
    page.goto(address)
    if page.locator("#data").count():
        page.wait_for_selector("body.ready")
    elif page.locator("iframe").count():
        page.frame_locator("iframe").locator("body.ready").wait_for()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("pages", "app"))
    given = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("no chromium was found; apt-get install chromium")
    given.out.mkdir(parents=True, exist_ok=True)
    with browsing(program) as browser:
        if given.only != "app":
            take(given.out, make_pages(given.out / "pages"), browser)
        if given.only != "pages":
            take_app(given.out, browser, WIDTHS, {name: MODES[name] for name in ("light", "dark")})


if __name__ == "__main__":
    main()
