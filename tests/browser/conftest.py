"""Pages in a real, headless Chromium: from disk, offline, watched for messages and requests."""

import os
import shutil

import pytest
from pages import write

MISSING = "no Chromium for playwright: apt-get install chromium, and uv sync"
REQUIRED = "TAGXAI_BROWSER"
"""An environment variable that `.ci/run` sets: without a browser, tests then fail instead of being skipped."""

# The last sample that went to the loudspeaker, for any page: what is heard, not what the page says about it.
LISTENER = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...more) {
  if (target instanceof AudioDestinationNode) {
    window.ear = new AnalyserNode(this.context, { fftSize: 32 });
    connect.call(this, window.ear);
  }
  return connect.call(this, target, ...more);
};
window.lastSample = () => {
  const samples = new Float32Array(32);
  window.ear.getFloatTimeDomainData(samples);
  return samples[31];
};
"""


@pytest.fixture(scope="module")  # not longer: while playwright is open, its event loop runs in this thread
def chromium():
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


class Watched:
    """A page, and what it said and asked for."""

    def __init__(self, context):
        self.messages, self.requests = [], []
        self.page = context.new_page()
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: self.messages.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def is_silent(self, address):
        assert self.messages == []
        assert self.requests == [address]
        return True


@pytest.fixture
def open_page(chromium, tmp_path):
    """Writes what a value shows, opens the file offline and waits until it can play; all of it must stay silent."""
    contexts, opened = [], []

    def opening(value, fragment="", **options):
        file = write(value, tmp_path / f"{len(contexts)}.html")
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, "offline": True, **options})
        contexts.append(context)
        context.add_init_script(LISTENER)
        watched = Watched(context)
        watched.page.goto(file.as_uri() + fragment)
        watched.page.wait_for_selector("body.ready", timeout=20_000)
        opened.append((watched, file.as_uri()))
        return watched.page

    yield opening
    for watched, address in opened:
        assert watched.is_silent(address)
    for context in contexts:
        context.close()
