"""For everyone: axe-core's rules, the keyboard, forced colours."""

import pages
import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")


@pytest.fixture
def violations():
    return lambda page: [
        (found["id"], [node["html"][:120] for node in found["nodes"]])
        for found in axe.Axe().run(page).response["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_any_width(open_page, violations, scheme):
    page = open_page(pages.comparison(), "#t=0.5,1.5", color_scheme=scheme)
    page.click("summary")
    for width in (1440, 768, 375):
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing to scroll sideways


def test_axe_finds_nothing_about_an_odd_prompt_or_a_bare_clip(open_page, violations):
    odd = pages.clip("كلب 🐕 " + "x" * 90 + " </s>", streams=1)
    assert violations(open_page(pages.attribution(odd, is_mask=False), viewport={"width": 375, "height": 700})) == []
    assert violations(open_page(pages.clip())) == []


def test_the_keyboard_reaches_everything_in_twelve_stops(open_page):
    page = open_page(pages.comparison(), "#t=0.5,1.5")
    stops, reached = [], set()
    place = """() => {
      const at = document.activeElement;
      return at === document.body ? null : at.id || at.closest('[id]')?.id || at.tagName;
    }"""
    size = """() =>
      document.activeElement.closest('[role=toolbar]')?.querySelectorAll('button:not(:disabled)').length || 0"""
    for _ in range(30):
        page.keyboard.press("Tab")
        stop = page.evaluate(place)
        if stop is None:
            break
        stops.append(stop)
        buttons = page.evaluate(size)
        for _ in range(buttons):
            reached.add(page.evaluate("() => document.activeElement.textContent"))
            page.keyboard.press("ArrowRight")
    assert len(stops) <= 12
    assert {"cursor", "start", "end"} <= set(stops)
    every = page.eval_on_selector_all("button:not(:disabled)", "all => all.map(each => each.textContent)")
    assert set(every) <= reached


def test_forced_colours_keep_what_colours_say(open_page):
    page = open_page(pages.attribution(), forced_colors="active", reduced_motion="reduce")
    thickness = "words => words.map(w => parseFloat(getComputedStyle(w).textDecorationThickness))"
    strength = "words => words.map(w => Number(w.style.getPropertyValue('--strength')))"
    shown = page.eval_on_selector_all(".word", thickness)
    wanted = page.eval_on_selector_all(".word", strength)
    assert max(shown) > 2
    assert sorted(range(6), key=shown[:6].__getitem__) == sorted(range(6), key=wanted[:6].__getitem__)
