"""A benchmark's page: tables that sort, pictures in the reader's theme, and the clips behind the figures."""

import pytest
from bench_helpers import plan

from tagxai.benchmark import results
from tagxai.benchmark.running import run
from tagxai.report.benchmark import write_benchmark


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bench")
    run(plan(methods=["cross_attention", "occlusion"]), made)
    write_benchmark(results.load(made), made)
    return made


@pytest.fixture
def watched(chromium, folder):
    context = chromium.new_context(offline=True, color_scheme="dark", viewport={"width": 1200, "height": 900})
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((folder / "report.html").as_uri())
    yield page
    assert said == []
    context.close()


def test_tables_sort_by_any_column_and_back(watched):
    table = watched.locator("table").first
    names = "rows => rows.map(row => row.cells[0].textContent)"

    def order():
        return watched.eval_on_selector_all("section:first-of-type tbody tr", names)

    before = order()
    table.locator("button").first.click()
    assert order() == sorted(before)
    table.locator("button").first.click()
    assert order() == sorted(before, reverse=True)
    assert table.locator("th").first.get_attribute("aria-sort") == "descending"


def test_the_picture_is_dark_on_a_dark_page(watched):
    pixel = """image => {
      const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      return context.getImageData(2, 2, 1, 1).data[0];
    }"""
    assert watched.eval_on_selector(".figure", pixel) < 60
    watched.emulate_media(color_scheme="light")
    watched.wait_for_function(f"() => ({pixel})(document.querySelector('.figure')) > 200")


def test_a_method_leads_to_the_clip_on_which_it_did_worst(watched):
    watched.locator("section:first-of-type tbody a:text-is('cross_attention')").click()
    watched.wait_for_selector("body.ready")
    assert watched.get_attribute("#view button:text-is('cross_attention')", "aria-pressed") == "true"
    assert watched.locator(".map").count() >= 2


def test_axe_finds_nothing_on_the_benchmark(watched):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for scheme, width in (("light", 1440), ("dark", 375)):
        watched.emulate_media(color_scheme=scheme)
        watched.set_viewport_size({"width": width, "height": 900})
        found = axe.Axe().run(watched).response["violations"]
        assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []
