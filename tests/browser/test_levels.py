"""When in denoising each word acts: the page's tables of words by noise levels."""

import pages
import pytest

from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.report.content import content_of
from tagxai.report.page import render
from tagxai.scoring import by_stream
from tagxai.text import words

CELLS = "rows => rows.map(r => [...r.cells].slice(1).map(cell => Number(cell.dataset.value)))"
STRENGTHS = "cells => cells.map(cell => Number(cell.style.getPropertyValue('--strength')))"


def found():
    """Two methods: numbers of both signs at every level, and a mask that is one for all levels."""
    clip = pages.latent_clip()
    signed = Explanation(pages.attribution(clip, method="occlusion", is_mask=False))
    return Comparison({"occlusion": signed, "audiogenx": Explanation(pages.attribution(clip, streams=1))}, {}, 1.0)


def test_the_table_holds_each_words_mean_at_each_level_of_the_selection(open_page):
    asked = found()
    occlusion = asked.explanations["occlusion"].attribution
    clip = occlusion.generation
    page = open_page(asked)
    assert page.locator("#levels table").count() == 1
    heads = page.eval_on_selector_all("#levels thead th", "all => all.map(each => each.textContent)")
    assert heads == ["word", "noise 0.97", "noise 0.8", "noise 0.5", "noise 0.1"]
    page.click("#view button:text-is('Fold function words')")
    for by, name in (("word", "Words"), ("phrase", "Phrases")):
        page.click(f"#view button:text-is('{name}')")
        wanted = by_stream(occlusion, words.units(by, clip.prompt, clip.spans, clip.tokens)).T.tolist()
        shown = page.eval_on_selector_all("#levels tbody tr", CELLS)
        assert shown == [pytest.approx(row, abs=1e-6) for row in wanted]
    page.evaluate("location.hash = '#t=0.4,1.2&by=word'")
    units = words.words(clip.prompt, clip.spans, clip.tokens)
    page.wait_for_function("document.querySelector('#start').getAttribute('aria-valuenow') === '0.4'")
    part = occlusion.scores[:, 10:30].mean(1)
    wanted = [[part[level, list(unit.tokens)].sum().item() for level in range(4)] for unit in units]
    shown = page.eval_on_selector_all("#levels tbody tr", CELLS)
    assert shown == [pytest.approx(row, abs=1e-6) for row in wanted]


def test_colours_are_of_one_scale_for_all_levels(open_page):
    """A word that acts twice as strongly at one level as at another is twice as strong in colour; a sign is a hue."""
    clip = pages.latent_clip()
    asked = pages.attribution(clip, method="occlusion", is_mask=False)
    asked.scores.zero_()
    asked.scores[0, :, 1], asked.scores[1, :, 1], asked.scores[2, :, 1] = 2.0, 1.0, -1.0
    page = open_page(asked)
    dog = page.locator("#levels tbody tr", has_text="dog").locator("td")
    assert dog.evaluate_all(STRENGTHS) == [1, 0.5, 0.5, 0]
    assert [" against" in cell for cell in dog.evaluate_all("all => all.map(each => each.className)")] == [
        False,
        False,
        True,
        False,
    ]


def test_the_table_is_there_without_a_script_and_only_for_clips_that_were_denoised():
    asked = found()
    text = render(content_of(asked))
    occlusion = asked.explanations["occlusion"].attribution
    (start,) = [at for at in range(len(text)) if text.startswith('<section id="levels">', at)]
    for row in by_stream(occlusion, occlusion.words()).T.tolist():
        for score in row:
            assert f'<td class="number">{score:.3f}</td>' in text[start:]
    assert '<section id="levels">' not in render(content_of(pages.comparison()))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = open_page(found(), color_scheme=scheme)
    for width in (1200, 375):
        page.set_viewport_size({"width": width, "height": 900})
        violations = axe.Axe().run(page).response["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
