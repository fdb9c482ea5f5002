"""Runs, and folders that survive what befalls them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_helpers import CONTROLS, PROMPTS, csv_of, die_if_asked, plan

from tagxai import TagxaiError, storage
from tagxai.benchmark import cells, results
from tagxai.benchmark.executors import ProcessDiedError, make_executor
from tagxai.benchmark.running import run
from tagxai.errors import DamagedFileError
from tagxai.methods.cross_attention import CrossAttention


@pytest.fixture
def calls(monkeypatch):
    """Which clips cross_attention was asked to explain."""
    asked = []
    make = CrossAttention.attribute

    def attribute(self, generator, generation, **options):
        asked.append(generation.prompt)
        return make(self, generator, generation, **options)

    monkeypatch.setattr(CrossAttention, "attribute", attribute)
    return asked


def test_every_cell_is_there_with_all_controls(tmp_path):
    run(plan(), tmp_path)
    found = results.load(tmp_path)
    assert len(found.cells) == len(PROMPTS) * (len(CONTROLS) + 1) * 2
    assert {cell.method for cell in found.cells} == {*CONTROLS, "cross_attention"}
    assert found.missing == 0
    ones = [cell.value for cell in found.cells if (cell.method, cell.metric) == ("all-ones", "mask_size")]
    assert ones == [1.0, 1.0]


def test_a_costly_metric_is_for_the_first_prompts_only(tmp_path):
    few = plan(metrics=["mask_size", {"name": "gini", "prompts": 1}])
    run(few, tmp_path / "few")
    found = {(cell.metric, cell.prompt) for cell in results.load(tmp_path / "few").cells if cell.value is not None}
    assert found == {("mask_size", PROMPTS[0]), ("mask_size", PROMPTS[1]), ("gini", PROMPTS[0])}
    assert plan(metrics=["gini(prompts=1)"]).metrics[0].identity == plan(metrics=["gini"]).metrics[0].identity


def test_what_is_done_is_not_done_again_and_what_is_new_is(calls, tmp_path):
    run(plan(), tmp_path)
    first = csv_of(tmp_path)
    run(plan(), tmp_path)
    assert calls == PROMPTS
    assert csv_of(tmp_path) == first
    run(plan(metrics=["mask_size", "roc_auc", "hit_at_1"]), tmp_path)
    assert calls == PROMPTS  # another metric of the same explanations
    run(plan(prompts=[*PROMPTS, "a bell"]), tmp_path)
    assert calls == [*PROMPTS, "a bell"]


def test_a_job_that_is_run_again_computes_what_is_not_done(calls, tmp_path, monkeypatch):
    class Twice:  # runs every job again, as after a death
        here, workers = False, 1

        def map(self, function, jobs):
            for job in jobs:
                function(job)
                yield job, function(job)

        def close(self):
            pass

    measured = []
    monkeypatch.setattr(cells, "measure", lambda *given: measured.append(given) or 0.5)
    run(plan(), tmp_path, executor=Twice())
    assert calls == PROMPTS
    assert len(measured) == len(results.load(tmp_path).cells)


def test_failed_cells_are_computed_again_when_asked(tmp_path, monkeypatch):
    good = cells.measure
    monkeypatch.setattr(cells, "measure", lambda *given: float("nan") / 0)
    run(plan(), tmp_path)
    assert all(cell.error for cell in results.load(tmp_path).cells)
    monkeypatch.setattr(cells, "measure", good)
    run(plan(), tmp_path)
    assert all(cell.error for cell in results.load(tmp_path).cells)
    run(plan(), tmp_path, retry_failed=True)
    assert not any(cell.error for cell in results.load(tmp_path).cells)


def test_a_crash_is_laid_to_the_method_that_it_comes_with(tmp_path):
    class Dying:
        here, workers = False, 1

        def map(self, function, jobs):
            for job in jobs:
                dies = any(method.label == "occlusion" for method, _ in getattr(job, "todo", ()))
                yield job, ProcessDiedError() if dies else function(job)

        def close(self):
            pass

    run(plan(methods=["cross_attention", "occlusion"]), tmp_path, executor=Dying())
    found = results.load(tmp_path)
    assert found.missing == 0
    assert {cell.method for cell in found.cells if cell.error} == {"occlusion"}
    assert "its process died" in next(cell.error for cell in found.cells if cell.error)


def test_a_damaged_cell_is_told_and_computed_again(calls, tmp_path):
    run(plan(), tmp_path)
    first = csv_of(tmp_path)
    file = sorted((tmp_path / "cells").glob("*/*.json"))[0]
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(DamagedFileError, match="changed after it was written"):
        results.load(tmp_path)
    run(plan(), tmp_path)
    assert csv_of(tmp_path) == first
    assert calls == PROMPTS


def test_a_truncated_clip_or_explanation_is_made_again(tmp_path, calls):
    run(plan(), tmp_path)
    first = csv_of(tmp_path)
    for kind in ("clips", "explanations"):
        for file in (tmp_path / kind).glob("*/*"):
            file.write_bytes(file.read_bytes()[:-1])
    for file in (tmp_path / "cells").glob("*/*"):
        file.unlink()
    run(plan(), tmp_path)
    assert calls == PROMPTS * 2
    assert csv_of(tmp_path) == first


def test_a_file_under_another_ones_name_is_detected(tmp_path, calls):
    run(plan(), tmp_path)
    first = csv_of(tmp_path)
    for kind in ("clips", "explanations", "cells"):
        one, other = sorted((tmp_path / kind).glob("*/*"))[:2]
        other.write_bytes(one.read_bytes())
        if kind == "cells":
            with pytest.raises(DamagedFileError, match="another cell"):
                results.load(tmp_path)
    for file in sorted((tmp_path / "cells").glob("*/*"))[1:]:
        file.unlink()
    run(plan(), tmp_path)
    assert csv_of(tmp_path) == first


def test_an_interrupted_run_goes_on_where_it_was(calls, tmp_path):
    def stop(status):
        if status.done == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan(), tmp_path / "a", on_status=stop)
    assert results.load(tmp_path / "a").missing == 9
    seen = []
    run(plan(), tmp_path / "a", on_status=seen.append)
    assert (seen[-1].done, seen[-1].kept) == (9, 15)
    run(plan(), tmp_path / "b")
    assert csv_of(tmp_path / "a") == csv_of(tmp_path / "b")
    assert len(calls) == 4


def test_a_folder_of_another_version_is_refused_and_a_broken_plan_written_again(tmp_path):
    run(plan(), tmp_path)
    first, whole = csv_of(tmp_path), (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(whole.replace('"schema_version": 1', '"schema_version": 9'))
    for refused in (lambda: run(plan(), tmp_path), lambda: results.load(tmp_path)):
        with pytest.raises(DamagedFileError, match="schema version 9"):
            refused()
    (tmp_path / "run.json").write_text(whole[:100])
    with pytest.raises(DamagedFileError, match="cannot be read"):
        results.load(tmp_path)
    run(plan(), tmp_path)
    assert csv_of(tmp_path) == first


def test_a_cell_with_other_fields_is_told_and_computed_again(tmp_path):
    run(plan(), tmp_path)
    first = csv_of(tmp_path)
    file = sorted((tmp_path / "cells").glob("*/*.json"))[0]
    content = json.loads(file.read_text()) | {"new": 1}
    content.pop("sha256")
    file.write_text(json.dumps(content | {"sha256": storage.json_sha256(content)}))
    with pytest.raises(DamagedFileError, match="another version of tagxai"):
        results.load(tmp_path)
    run(plan(), tmp_path)
    assert csv_of(tmp_path) == first


KILLED = """
import sys
from tagxai.benchmark.plan_options import make_plan
from tagxai.benchmark.running import run
if __name__ == "__main__":
    content = {"generators": ["analytic"], "methods": ["cross_attention"], "metrics": ["mask_size", "roc_auc"]}
    plan = make_plan(content | {"prompts": ["a dog barks", "rain falls"], "device": "cpu"})
    run(plan, sys.argv[1], executor=sys.argv[2], workers=2)
"""


@pytest.mark.parametrize(
    "executor", ["local", *(pytest.param(name, marks=pytest.mark.slow) for name in ("processes", "ray"))]
)
def test_a_killed_run_is_finished_by_the_next_to_the_same_bytes(executor, calls, tmp_path):
    if executor == "ray":
        pytest.importorskip("ray")
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, str(script), str(out), executor], stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.glob("cells/*/*.json"))) < 2:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run(plan(), out)
    run(plan(), tmp_path / "whole")
    assert csv_of(out) == csv_of(tmp_path / "whole")


@pytest.mark.slow
def test_workers_of_ray_start_where_the_command_is_run_by_uv(tmp_path):
    """Ray's own way would make the environment again for each worker, from a copy of the folder: for ever here."""
    pytest.importorskip("ray")
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    given = ["-g", "analytic", "-m", "cross_attention", "--metrics", "mask_size", "--executor", "ray", "--workers", "1"]
    (tmp_path / "prompts.txt").write_text("a dog barks\n")
    command = [uv, "run", "--no-sync", "tagxai", "bench", *given, "-p", str(tmp_path / "prompts.txt"), "--yes"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    options = {"cwd": Path(__file__).parents[2], "env": outside, "capture_output": True, "text": True, "check": False}
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], timeout=240, **options)
    assert done.returncode == 0, done.stderr


def test_a_cluster_that_does_not_start_is_one_sentence(monkeypatch):
    ray = pytest.importorskip("ray")

    def init(**_):
        raise Exception("The current node timed out.\nThe GCS has become overloaded.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(TagxaiError, match=r"^Ray did not start on head:6379: The current node timed out\. The GCS"):
        make_executor("ray", 2)


@pytest.mark.slow
def test_a_job_is_not_given_up_for_the_death_of_another(tmp_path):
    executor = make_executor("processes", 2)
    found = dict(executor.map(die_if_asked, ["dies", "a", "b"]))
    executor.close()
    assert isinstance(found.pop("dies"), ProcessDiedError)
    assert found == {"a": "a", "b": "b"}
