"""The app without a browser: who is let in, what is refused, what runs together, what an export holds."""

import io
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import pytest
from cli_helpers import run
from running_app import PATIENCE, Visitor, call, running

import tagxai
from tagxai.explaining.editing import Edit
from tagxai.report.app import bounds
from tagxai.report.app.models import Model
from tagxai.report.app.serving import App
from tagxai.report.app.wishes import read_new_clip

PROMPT = "a dog barks while rain falls"


class Held:
    """A generator that only reports until the test opens its gate; and how many clips it is asked for at a time."""

    def __init__(self, monkeypatch, kind):
        self.gate, self.batches, self.started = threading.Event(), [], threading.Event()
        plain = kind.generate_many

        def generate_many(generator, requests, *, on_progress=None):
            self.batches.append(len(requests))
            self.started.set()
            while not self.gate.wait(0.01):
                if on_progress is not None:
                    on_progress(tagxai.Progress(0, 1, "held"))
            return plain(generator, requests, on_progress=on_progress)

        monkeypatch.setattr(kind, "generate_many", generate_many)


@pytest.fixture
def held(generator, monkeypatch):
    made = Held(monkeypatch, type(generator))
    yield made
    made.gate.set()


@pytest.fixture
def address(generator):
    with running(("tiny", generator)) as address:
        yield address


@pytest.fixture
def open_take(address):
    """A visitor with one take."""
    visitor = Visitor(address)
    assert visitor.ask()[0] == 202
    return visitor, visitor.takes(1)[0]


def exported(visitor, take, folder):
    """The folder of a take's zip."""
    ZipFile(io.BytesIO(visitor.get(f"takes/{take['id']}.zip")[1])).extractall(folder)
    return folder / f"tagxai-take-{take['number']}"


def test_answers_only_to_its_own_name_and_pages(address):
    host = address.removeprefix("http://").rstrip("/")
    assert call(address, "GET", "/")[0] == 200
    status, answer = call(address, "GET", "/", Host="evil.example")
    assert (status, answer["error"]) == (400, "this app does not answer to that host name")
    assert call(address, "GET", "/", Host=f"localhost:{host.partition(':')[2]}")[0] == 200
    assert call(address, "POST", "/visits", Origin="http://evil.example")[0] == 403
    assert call(address, "POST", "/visits", Origin="null")[0] == 403
    assert call(address, "POST", "/visits", Sec_Fetch_Site="cross-site")[0] == 403
    assert call(address, "POST", "/visits", Origin=f"http://{host}", Sec_Fetch_Site="same-origin")[0] == 201


def test_other_hosts_need_the_token(generator):
    with running(("tiny", generator), host="0.0.0.0") as address:
        base, query = address.split("?")
        assert call(base, "GET", "/")[0] == 401
        assert call(base, "GET", "/?token=wrong")[0] == 401
        assert call(base, "POST", "/visits")[0] == 401
        assert call(base, "GET", f"/?{query}")[0] == 303
        assert call(base, "POST", "/visits", Cookie=query.replace("token", "tagxai"))[0] == 201
        assert call(base, "POST", "/visits", Cookie="tagxai=wrong")[0] == 401


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"prompt": " "}, "the prompt is empty"),
        ({"prompt": "x" * 501}, "the prompt has 501 characters; at most 500 are read"),
        ({"prompt": "\ud800"}, "the prompt is not valid text"),
        ({"prompt": ["a dog"]}, "the prompt is empty"),
        ({"contrast": PROMPT}, "the contrast prompt is the prompt itself"),
        ({"seconds": 99}, "the seconds must be from 0 to"),
        ({"seconds": 0}, "a clip by 'tiny' has at least 0.04 s"),
        ({"seconds": "1"}, "the seconds must be a number from 0 to"),
        ({"seconds": True}, "the seconds must be a number"),
        ({"seed": 0.5}, "the seed must be a whole number, not 0.5"),
        ({"seed": -1}, "the seed must be from 0 to"),
        ({"generator": "musicgen:/etc"}, "no generator named 'musicgen:/etc'"),
        ({"method": "../x"}, "no method named '../x'"),
        ({"take": "unknown", "gains": []}, "that take is not known any more"),
    ],
)
def test_bad_wishes_are_refused_with_a_sentence(address, wish, sentence):
    status, answer = Visitor(address).ask(**wish)
    assert status in (400, 404)
    assert answer["error"].startswith(sentence)


@pytest.mark.parametrize("gains", [None, [1], [1, 1, 1, 1, 1, 1, 4.1], [1, 1, 1, 1, 1, 1, "1"], [-1] * 7])
def test_bad_gains_are_refused(open_take, gains):
    visitor, take = open_take
    status, answer = visitor.ask(take=take["id"], gains=gains)
    assert status == 400
    assert "gain" in answer["error"]


def test_bodies_are_short_json_objects(address):
    visitor = Visitor(address)
    path = f"/visits/{visitor.id}/jobs"
    assert call(address, "POST", path, b'{"prompt": "' + b"x" * bounds.BODY + b'"}')[0] == 413
    assert call(address, "POST", path, "[]")[0] == 400
    assert call(address, "POST", path, "{")[0] == 400
    assert call(address, "POST", path, "[" * 5000)[0] == 400
    assert call(address, "POST", path, "{}", Content_Type="text/plain")[0] == 400
    assert call(address, "GET", "/visits/unknown/events")[0] == 404
    assert call(address, "GET", f"/visits/{visitor.id}/takes/..%2f..%2fetc%2fpasswd")[0] == 404


def test_the_21st_job_is_refused_with_a_sentence(held, address):
    visitors = [Visitor(address) for _ in range(3)]
    for number in range(bounds.QUEUE):
        assert visitors[number % 3].ask(seed=number)[0] == 202
    status, answer = visitors[0].ask()
    assert (status, answer["error"]) == (429, "20 jobs are waiting already; try again when some of them are done")
    jobs, _ = visitors[2].news(lambda jobs, takes: len(jobs) == 6 and jobs[-1]["place"] == 17)
    assert call(address, "DELETE", f"/visits/{visitors[2].id}/jobs/{jobs[-1]['id']}")[0] == 204
    assert visitors[0].ask()[0] == 202


def test_jobs_of_several_visitors_run_as_one_batch_as_if_alone(held, address, generator, tmp_path):
    visitors = [Visitor(address) for _ in range(4)]
    assert visitors[0].ask(seed=100)[0] == 202
    held.started.wait(PATIENCE)
    for seed, visitor in enumerate(visitors):
        assert visitor.ask(seed=seed)[0] == 202
    held.gate.set()
    for seed, visitor in enumerate(visitors):
        take = visitor.takes(2 if seed == 0 else 1)[0]
        found = tagxai.load(exported(visitor, take, tmp_path / str(seed)))
        alone = tagxai.explain(
            generator.generate(PROMPT, duration=1.0, seed=seed), method="cross_attention", generator=generator
        )
        assert found.generation.record["codes"].equal(alone.generation.record["codes"])
        assert found.scores.equal(alone.scores)
    assert 4 in held.batches


def test_a_newer_slider_position_cancels_the_older_one(held, address):
    held.gate.set()
    visitor = Visitor(address)
    visitor.ask()
    (take,) = visitor.takes(1)
    held.gate.clear()
    for gain in (0.9, 0.5, 0.1):
        assert visitor.ask(take=take["id"], gains=[gain] + [1] * 6)[0] == 202
    jobs, _ = visitor.news(lambda jobs, takes: True)
    assert Counter(job["state"] for job in jobs)["running"] + Counter(job["state"] for job in jobs)["waiting"] == 1
    held.gate.set()
    newest = visitor.takes(2)[0]
    assert newest["gains"][0] == 0.1
    assert newest["number"] == 2
    assert newest["origin"] == take["id"]


def test_cancelling_stops_the_work_itself(held, address):
    visitor = Visitor(address)
    job = visitor.ask()[1]["job"]
    held.started.wait(PATIENCE)
    assert call(address, "DELETE", f"/visits/{visitor.id}/jobs/{job}")[0] == 204
    assert visitor.ask(seed=1)[0] == 202
    held.gate.set()
    (take,) = visitor.takes(1)
    assert take["seed"] == 1  # the gate was closed: the first job never made a clip


def test_a_job_that_fails_leaves_the_others_alone(address, generator, monkeypatch):
    plain = type(generator).generate_many

    def generate_many(self, requests, *, on_progress=None):
        if any(request.seed == 13 for request in requests):
            raise tagxai.TagxaiError("13 is out of order")
        return plain(self, requests, on_progress=on_progress)

    monkeypatch.setattr(type(generator), "generate_many", generate_many)
    unlucky, lucky = Visitor(address), Visitor(address)
    unlucky.ask(seed=13)
    lucky.ask(seed=14)
    assert lucky.takes(1)[0]["seed"] == 14
    (job,), _ = unlucky.news(lambda jobs, takes: jobs and jobs[0]["state"] == "failed")
    assert job["error"] == "13 is out of order"


def test_a_history_is_bounded_and_keeps_what_is_edited(open_take, monkeypatch):
    monkeypatch.setattr(bounds, "TAKES", 3)
    visitor, first = open_take
    visitor.ask(seed=1)
    visitor.takes(2)
    for number, gain in enumerate((0.5, 0.6, 0.7), start=3):
        visitor.ask(take=first["id"], gains=[gain] + [1] * 6)
        visitor.news(lambda jobs, takes, number=number: takes[0]["number"] == number)
    _, takes = visitor.news(lambda jobs, takes: len(takes) <= 3)
    assert [take["number"] for take in takes] == [5, 4, 1]


def test_an_export_is_what_explain_writes(open_take, generator, monkeypatch, tmp_path):
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda spec, **options: generator)
    visitor, take = open_take
    run("explain", PROMPT, "--duration", 1, "--method", "cross_attention", "--out", tmp_path / "cli")
    app, cli = exported(visitor, take, tmp_path), tmp_path / "cli"
    assert sorted(file.name for file in app.iterdir()) == sorted(file.name for file in cli.iterdir())
    for file in cli.glob("*.flac"):
        assert (app / file.name).read_bytes() == file.read_bytes()
    assert tagxai.load(app).scores.equal(tagxai.load(cli).scores)


def test_an_export_of_an_edit_is_what_edit_writes(open_take, tmp_path):
    visitor, take = open_take
    visitor.ask(take=take["id"], gains=[1, 1, 1, 1, 0.5, 0.5, 1])
    newest = visitor.takes(2)[0]
    assert newest["edited"] == "rain falls ×0.5"
    edit = Edit.load(exported(visitor, newest, tmp_path))
    assert edit.gains == {"rain falls": 0.5}
    assert set(edit.token_gains) == {0.5, 1.0}
    assert edit.token_gains[0] == edit.token_gains[-1] == 1


def test_any_two_takes_are_one_page(open_take):
    visitor, first = open_take
    visitor.ask(seed=1)
    second = visitor.takes(2)[0]
    status, page = visitor.get(f"takes/{first['id']}/{second['id']}")
    assert status == 200
    assert b"Take 1 beside take 2" in page


def test_every_method_that_is_offered_can_be_asked_for(generator):
    model = Model("tiny", generator)
    assert model.methods[0] == "share_x_effect"
    assert {"audiogenx", "shapley"} <= set(model.methods)
    wish = {"prompt": PROMPT, "generator": "tiny", "seconds": 1, "seed": 0}
    for method in model.methods:
        assert read_new_clip(wish | {"method": method}, [model]).method == method
    assert "coupled_regeneration" not in model.methods


def test_a_port_that_is_taken_is_one_sentence(address):
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(tagxai.TagxaiError, match=f"cannot listen on 127.0.0.1:{port}: .*; try --port 0"):
        App(port=port)


def test_two_generators_of_one_label_are_refused():
    found = run("app", "--generator", "musicgen:./a/mine", "--generator", "musicgen:./b/mine")
    assert found.exit_code == 2
    assert "two generators would both be called 'musicgen mine'" in found.stderr


def test_the_help_has_examples():
    assert "tagxai app --open" in run("app", "--help").output


@pytest.mark.slow
def test_sigint_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = Path(sys.executable).with_name("tagxai")
    command = [program, "app", "--generator", "tiny", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip()
    visitor = Visitor(address)
    visitor.ask(method="audiogenx", seconds=3)
    visitor.news(lambda jobs, takes: jobs and jobs[0]["state"] == "running")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert time.monotonic() - began < PATIENCE / 2
    assert list(tmp_path.iterdir()) == []
