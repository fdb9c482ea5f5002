"""The app as a server in a thread of the test's process, and visitors who talk to it without a browser."""

import json
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from tagxai.report.app.models import Model
from tagxai.report.app.serving import App

PATIENCE = 120.0  # seconds, on a busy machine


@contextmanager
def running(*models, host="127.0.0.1"):
    """The address of an app for (label, generator) pairs; at the end nothing of it may be left."""
    before, app = set(threading.enumerate()), App(host)
    server = threading.Thread(target=app.run, args=[[Model(label, model) for label, model in models]])
    server.start()
    try:
        yield app.address
    finally:
        app.stop()
        server.join(PATIENCE)
    assert not server.is_alive()
    assert {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("tagxai app")} == set()


def call(address, method, path, content=None, **headers):
    """The status and the body of an answer; JSON as what it holds."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)
    body = content if isinstance(content, (str, bytes, type(None))) else json.dumps(content)
    given = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, body, given | {name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(found) if is_json and found else found


class Visitor:
    """A visit, which asks and waits for news."""

    def __init__(self, address):
        self.address = address
        self.id = call(address, "POST", "/visits")[1]["visit"]

    def ask(self, **wish):
        usual = {"prompt": "a dog barks while rain falls", "seconds": 1.0, "seed": 0, "contrast": ""}
        usual |= {"generator": "tiny", "method": "cross_attention"}
        return call(self.address, "POST", f"/visits/{self.id}/jobs", wish if "take" in wish else usual | wish)

    def get(self, path):
        return call(self.address, "GET", f"/visits/{self.id}/{path}")

    def news(self, until):
        """The jobs and takes at the first moment at which `until(jobs, takes)` holds."""
        connection = HTTPConnection(urlsplit(self.address).netloc, timeout=PATIENCE)
        connection.request("GET", f"/visits/{self.id}/events")
        answer, found, name = connection.getresponse(), {}, ""
        ends = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < ends:
                line = answer.readline().decode().strip()
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    found[name] = json.loads(line.removeprefix("data: "))
                    if len(found) == 2 and until(found["jobs"], found["takes"]):
                        return found["jobs"], found["takes"]
        finally:
            connection.close()
        raise AssertionError(f"what was waited for did not happen: {found}")

    def takes(self, number):
        """The takes, the newest first, once there are so many."""
        return self.news(lambda jobs, takes: len(takes) >= number)[1]
