"""The app in a browser: explain, edit, contrast, cancel, several users at once."""

import json
import time
from base64 import b64decode
from zipfile import ZipFile

import pytest

import tagxai
from tagxai.report.audio import audio_texts

running_app = pytest.importorskip("running_app")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

PROMPT, OTHER = "a dog barks while rain falls", "a siren sounds while rain falls"
SLOW = 60_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def tiny():
    return tagxai.load_generator("tiny")


@pytest.fixture(scope="module")
def address(tiny):
    with running_app.running(("tiny", tiny)) as address:
        yield address


class User:
    """A window of the app, which may say nothing and ask nobody else."""

    def __init__(self, context, address):
        self.said, self.asked, self.page = [], set(), context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(request.url))
        self.page.goto(address)
        self.frame = self.page.frame_locator("#frame")

    def explain(self, prompt=PROMPT, contrast="", seconds=1, seed=0, method="share_x_effect"):
        for name, text in (("prompt", prompt), ("contrast", contrast), ("seconds", seconds), ("seed", seed)):
            self.page.fill(f"#{name}", str(text))
        self.page.select_option("#method", method)
        self.page.click("#go")

    def shown(self, number):
        """The data of the page in the frame, once it shows take `number`."""
        self.page.locator(f"#history .current:has-text('Take {number}')").wait_for(timeout=SLOW)
        self.frame.locator("body.ready").wait_for(timeout=SLOW)
        return json.loads(self.frame.locator("#data").text_content())


@pytest.fixture
def opened(chromium, address):
    users = []

    def open_app(**options):
        context = chromium.new_context(**{"viewport": {"width": 1300, "height": 900}, **options})
        context.set_default_timeout(SLOW)
        users.append(User(context, address))
        return users[-1]

    yield open_app
    for user in users:
        assert user.said == []
        assert {url for url in user.asked if not url.startswith(address)} <= {"data:,"}
        user.page.context.close()


def sound(clip):
    """A clip as a page holds it."""
    return audio_texts([(clip.waveform, clip.sample_rate)])[0][0]


def test_explains_a_prompt_as_the_library_does(opened, tiny, tmp_path):
    user = opened()
    user.explain()
    shown = user.shown(1)
    alone = tagxai.explain(PROMPT, generator=tiny, duration=1.0)
    assert [clip["title"] for clip in shown["clips"]] == ["Original", "Factual", "Counterfactual", "Unconditional"]
    assert shown["clips"][0]["audio"] == sound(alone.generation)
    assert b64decode(shown["methods"][0]["scores"]) == alone.scores.numpy().astype("<f4").tobytes()
    with user.page.expect_download() as download:
        user.page.click("#history a")
    ZipFile(download.value.path()).extractall(tmp_path)
    assert tagxai.load(tmp_path / "tagxai-take-1").scores.equal(alone.scores)
    assert (tmp_path / "tagxai-take-1" / "report.html").stat().st_size > 100_000


def test_a_slider_is_heard(opened, tiny, capsys):
    user = opened()
    user.explain()
    user.shown(1)
    began = time.perf_counter()
    user.page.get_by_label("rain falls", exact=True).fill("0.2")
    shown = user.shown(2)
    seconds = time.perf_counter() - began
    with capsys.disabled():
        print(f"\nslider to sound: {seconds:.2f} s")
    edit = tagxai.edit(PROMPT, {"rain falls": 0.2}, generator=tiny, duration=1.0)
    assert [clip["title"] for clip in shown["clips"]][:2] == ["Original", "Edited"]
    assert [clip["audio"] for clip in shown["clips"]][:2] == [sound(edit.takes[0].plain), sound(edit.takes[0].edited)]
    assert shown["gains"]["word"] == [1, 1, 1, 1, 0.2, 0.2, 1]
    assert user.frame.locator("#player button[aria-pressed=true]").text_content() == "Edited"
    user.page.get_by_label("Words of a dog barks").click()
    user.page.get_by_label("dog", exact=True).focus()
    user.page.keyboard.press("ArrowRight")
    assert user.shown(3)["gains"]["word"] == [1, 1.1, 1, 1, 0.2, 0.2, 1]


def test_a_contrast_is_heard_and_asked_about(opened, tiny):
    user = opened()
    user.explain(contrast=OTHER)
    shown = user.shown(1)
    clips = tiny.generate_many([tagxai.Request(prompt, 1.0) for prompt in (PROMPT, OTHER)])
    assert [clip["title"] for clip in shown["clips"]][:2] == ["Original", "Contrast"]
    assert [clip["audio"] for clip in shown["clips"]][:2] == [sound(clip) for clip in clips]
    asked = user.frame.locator(".answer")
    assert OTHER in asked.locator("caption").text_content()
    assert float(asked.locator("tr").last.locator("td").text_content()) > 0


def test_two_takes_are_put_side_by_side(opened):
    user = opened()
    user.explain(method="cross_attention")
    first = user.shown(1)
    user.page.click("#next")
    second = user.shown(2)
    user.page.get_by_label("A: take 1").click()
    user.page.get_by_label("B: take 2").click()
    user.frame.locator("#player button:text-is('B: take 2')").wait_for()
    both = json.loads(user.frame.locator("#data").text_content())
    assert [clip["audio"] for clip in both["clips"]] == [each["clips"][0]["audio"] for each in (first, second)]
    assert first["clips"][0]["audio"] != second["clips"][0]["audio"]
    assert user.page.locator("#turn").is_hidden()
    user.page.locator("#history .what").last.click()
    user.shown(1)
    assert user.page.locator("#turn").is_visible()


def test_on_a_phone_a_new_take_comes_into_sight_and_an_edit_leaves_the_sliders_there(opened):
    user = opened(viewport={"width": 375, "height": 700})
    user.explain(method="cross_attention")
    user.shown(1)
    assert user.page.locator("#status").text_content() == "Take 1 is here"
    assert user.page.locator("#frame").evaluate("each => Math.abs(each.getBoundingClientRect().top)") < 60
    slider = user.page.get_by_label("rain falls", exact=True)
    slider.scroll_into_view_if_needed()
    slider.fill("0.2")
    user.shown(2)
    assert slider.evaluate("each => each.getBoundingClientRect().top < innerHeight")


def test_a_job_can_be_cancelled(opened):
    user = opened()
    user.explain(method="audiogenx", seconds=3)
    user.page.locator("#jobs button:text-is('Cancel')").click()
    user.page.locator("#jobs li").wait_for(state="detached")
    user.explain(method="cross_attention", seed=5)
    assert user.shown(1)["methods"][0]["name"] == "cross_attention"


def test_a_history_outlives_a_reload(opened):
    user = opened()
    user.explain(method="cross_attention")
    before = user.shown(1)
    user.page.reload()
    assert user.shown(1) == before
    assert user.page.input_value("#prompt") == PROMPT


def test_four_users_at_once_hear_what_each_would_alone(opened, tiny):
    users = [opened() for _ in range(4)]
    for seed, user in enumerate(users):
        user.explain([PROMPT, OTHER][seed % 2], seed=seed)
    found = [user.shown(1) for user in users]
    for seed, shown in enumerate(found):
        clip = tiny.generate([PROMPT, OTHER][seed % 2], duration=1.0, seed=seed)
        alone = tagxai.explain(clip, generator=tiny)
        assert shown["clips"][0]["audio"] == sound(alone.generation)
        assert b64decode(shown["methods"][0]["scores"]) == alone.scores.numpy().astype("<f4").tobytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, scheme):
    user = opened(color_scheme=scheme)
    user.explain("a cat meows while rain falls", contrast=OTHER, method="cross_attention")
    user.shown(1)
    assert "does not know (cat, meows)" in user.page.locator("#history").text_content()
    user.page.get_by_label("Words of rain falls").click()
    for width in (1440, 768, 375):
        user.page.set_viewport_size({"width": width, "height": 900})
        found = axe.Axe().run(user.page).response["violations"]
        assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found] == []
        assert user.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
