"""What is heard: samples of these clips say where they are in time, so that the audio itself is measured."""

from itertools import pairwise

import pages

POSITION = f"Math.abs(lastSample()) / {pages.LOUDEST} * 3"
CURSOR = "parseFloat(document.querySelector('#over').style.getPropertyValue('--at')) / 100 * 3"
FOLLOW = f"""frames => new Promise(done => {{
  const found = [];
  const look = () => {{
    const heard = {POSITION};
    if (heard > .05) found.push([heard, {CURSOR}]);
    found.length < frames ? requestAnimationFrame(look) : done(found);
  }};
  requestAnimationFrame(look);
}})"""


def play(page):
    page.keyboard.press("Space")
    page.wait_for_function("() => window.ear && Math.abs(lastSample()) > 0.001")


def seek(page, share):
    box = page.locator("#over").bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] - 10)


def test_the_cursor_is_where_the_sound_is(open_page):
    page = open_page(pages.explanation())
    play(page)
    for speed in range(2):
        seek(page, 0.1)
        settled = page.evaluate(FOLLOW, 30)[5:]  # the place before the click is heard until the audio thread gets to it
        for (before, _), (heard, shown) in pairwise(settled):
            # Drawn at some moment since the frame before, however late a busy machine draws the next one.
            assert before - 0.03 < shown < heard + 0.03
        if not speed:
            page.click("#player button:has-text('Speed')")  # 1.5 times


def test_another_clip_goes_on_at_the_same_place(open_page):
    page = open_page(pages.explanation())
    play(page)
    for key, sign in (("2", -1), ("1", 1), ("x", -1), ("x", 1)):
        moved, late = page.evaluate(
            f"""([key, sign]) => new Promise(done => {{
            const before = {POSITION}, began = performance.now();
            document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key, bubbles: true }}));
            const look = () => {{
              const sample = lastSample(), passed = (performance.now() - began) / 1000;
              if (Math.sign(sample) === sign && passed > .02) done([{POSITION} - before - passed, passed]);
              else if (passed > 1) done([9, 9]);
              else setTimeout(look, 1);
            }};
            look();
            }})""",
            [key, sign],
        )
        assert abs(moved) < 0.05
        assert late < 0.25  # seconds, on a machine that does much else


def test_a_selection_never_plays_by_itself_and_a_loop_stays_inside(open_page):
    page = open_page(pages.explanation(), "#t=1,1.3")
    seek(page, 0.1)
    assert page.evaluate("window.ear === undefined")
    assert page.inner_text("#player .play") == "Play"
    page.keyboard.press("l")
    play(page)
    places = [heard for heard, _ in page.evaluate(FOLLOW, 60)]
    assert 0.97 < min(places) < max(places) < 1.33
    assert any(after < before - 0.2 for before, after in pairwise(places))  # it came around
    page.keyboard.press("l")
    page.wait_for_function(f"() => {POSITION} > 1.4")
    page.keyboard.press("Space")
    assert page.inner_text("#player .play") == "Play"
    stopped = page.evaluate(CURSOR)
    assert 1.35 < stopped < 3
