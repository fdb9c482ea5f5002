"""Benchmarks as their users run them: plans, folders that survive, statistics against slow restatements."""

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tagxai import Method, TagxaiError
from tagxai.benchmark import cells, results
from tagxai.benchmark.leaderboard import out_of_order
from tagxai.benchmark.merging import merge
from tagxai.benchmark.plan import make_plan, read_options
from tagxai.benchmark.prompts import find_prompts
from tagxai.benchmark.running import run
from tagxai.benchmark.statistics import compare, holm, sign_flip
from tagxai.benchmark.store import Store
from tagxai.cli import app
from tagxai.errors import DamagedFileError
from tagxai.methods.cross_attention import CrossAttention
from tagxai.registry import registry
from tagxai.report.benchmark import write_benchmark

pytest.importorskip("tagxai_analytic")
PROMPTS = ["a dog barks", "rain falls"]
CONTROLS = ["oracle", "degraded oracle", "random", "all-ones", "all-zeros"]


def plan(**changes):
    content = {"generators": ["analytic"], "methods": ["cross_attention"], "metrics": ["mask_size", "roc_auc"]}
    return make_plan(content | {"prompts": PROMPTS, "device": "cpu"} | changes)


def csv_of(folder):
    results.write(results.load(folder), folder)
    return (folder / "results.csv").read_bytes()


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


@dataclass(frozen=True)
class Bad(Method):
    """Does what no method may."""

    name = "bad"
    how: str = "raises"

    def attribute(self, generator, generation, *, on_progress=None):
        if self.how == "raises":
            raise RuntimeError("a bug\nof a plugin")
        if self.how == "never ends":
            while True:
                time.sleep(0.01)
        if self.how == "is no attribution":
            return 3
        generator.attention_sites()[0].edits.append(lambda site, weights: weights * 0)
        return CrossAttention().attribute(generator, generation)


@pytest.fixture
def bad(monkeypatch):
    known = registry().methods
    monkeypatch.setitem(known, "bad", replace(known["random"], name="bad", cls=Bad))


# Runs


def test_every_cell_is_there_with_all_controls(tmp_path):
    run(plan(), tmp_path)
    found = results.load(tmp_path)
    assert len(found.rows) == len(PROMPTS) * (len(CONTROLS) + 1) * 2
    assert {row.method for row in found.rows} == {*CONTROLS, "cross_attention"}
    assert found.missing == 0
    ones = [row.value for row in found.rows if (row.method, row.metric) == ("all-ones", "mask_size")]
    assert ones == [1.0, 1.0]


def test_a_costly_metric_is_for_the_first_prompts_only(tmp_path):
    few = plan(metrics=["mask_size", {"name": "gini", "prompts": 1}])
    run(few, tmp_path / "few")
    found = {(row.metric, row.prompt) for row in results.load(tmp_path / "few").rows if row.value is not None}
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


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("raises", "RuntimeError: a bug of a plugin"),
        ("never ends", "longer than the limit of 0.3 s"),
        ("is no attribution", "int, not an Attribution"),
        ("leaves an edit", "left something behind"),
    ],
)
def test_a_bad_method_spoils_its_own_cells_only(how, told, bad, tmp_path):
    run(plan(), tmp_path / "alone")
    methods = [{"name": "bad", "how": how}, "cross_attention"]
    run(plan(methods=methods, time_limit=0.3 if how == "never ends" else None, metrics=["roc_auc"]), tmp_path / "both")
    found = results.load(tmp_path / "both")
    errors = {row.method: row.error for row in found.rows if row.error}
    assert len(errors) == 1
    assert told in next(iter(errors.values()))
    alone = {(r.prompt, r.method): r.value for r in results.load(tmp_path / "alone").rows if r.metric == "roc_auc"}
    assert {(r.prompt, r.method): r.value for r in found.rows if not r.method.startswith("bad")} == alone


def test_runs_of_two_machines_are_one_when_merged(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path / "a")
    run(plan(prompts=PROMPTS[1:]), tmp_path / "b")
    run(plan(), tmp_path / "whole")
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert csv_of(tmp_path / "c") == csv_of(tmp_path / "whole")
    run(plan(generators=["analytic:linear"]), tmp_path / "other")
    assert len(merge([tmp_path / "a", tmp_path / "other"], tmp_path / "d")) == 2


def test_one_label_must_mean_one_thing_to_be_merged(tmp_path):
    first = {"name": "cross_attention", "label": "x", "layers": "0"}
    run(plan(methods=[first], metrics=["mask_size"]), tmp_path / "a")
    run(plan(methods=[first | {"layers": "all"}], metrics=["mask_size"]), tmp_path / "b")
    with pytest.raises(TagxaiError, match="method 'x' is not the same"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")


KILLED = """
import sys
from tagxai.benchmark.plan import make_plan
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


# Plans


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"generators": ["analytik"]}, "did you mean 'analytic'"),
        ({"methods": ["cross_atention"]}, "did you mean 'cross_attention'"),
        ({"methods": "cross_attention(layer=1"}, "NAME or NAME"),
        ({"methods": ["audiogenx(epochs=many)"]}, "takes int, not 'many'"),
        ({"methods": ["occlusion", "occlusion"]}, "'occlusion' twice"),
        ({"metrics": ["mask_sizes"]}, "did you mean 'mask_size'"),
        ({"metrics": ["mask_size(k=1)"]}, "no option of metric 'mask_size' named 'k'"),
        ({"reference": "randm"}, "did you mean 'random'"),
        ({"seeds": [-1]}, "seeds are from 0"),
        ({"seeds": ["0"]}, "seeds takes a list of whole numbers"),
        ({"duration": 0}, "duration takes more than 0"),
        ({"prompts": "laboratory:tst:3"}, "did you mean 'test'"),
        ({"prompts": "laboratory:test:x"}, "laboratory:SPLIT:NUMBER"),
        ({"prompts": []}, "no prompt"),
        ({"device": "gpu"}, "no device named 'gpu'"),
    ],
)
def test_a_wrong_plan_is_one_sentence(changes, told):
    with pytest.raises(TagxaiError, match=r"^[^\n]*$") as error:
        plan(**changes)
    assert told in str(error.value)


def test_a_plan_survives_its_own_file(tmp_path):
    made = plan(methods=["audiogenx(epochs=3)", {"name": "audiogenx", "label": "long", "epochs": 40}], seeds=[1, 2])
    assert [part.label for part in made.methods[-2:]] == ["audiogenx(epochs=3)", "long"]
    assert made.methods[-1].settings["epochs"] == 40
    import json

    assert type(made).from_json(json.loads(json.dumps(made.to_json()))) == made


def test_one_caption_of_each_clip_and_none_of_excluded_clips(tmp_path):
    header = "audiocap_id,youtube_id,start_time,caption\n"
    (tmp_path / "test.csv").write_text(header + "1,a,0,first of a\n2,a,0,second of a\n3,b,0,of b\n4,c,0,of c\n")
    (tmp_path / "val.csv").write_text(header + "9,b,0,elsewhere\n")
    table = {"file": "test.csv", "one_per": "youtube_id", "exclude": "val.csv"}
    assert find_prompts(table, tmp_path) == ["first of a", "of c"]
    assert find_prompts({"file": "test.csv", "column": "youtube_id"}, tmp_path) == ["a", "b", "c"]
    with pytest.raises(TagxaiError, match="no column 'clip'"):
        find_prompts({"file": "test.csv", "one_per": "clip"}, tmp_path)


@pytest.mark.parametrize("name", ["laboratory.toml", "audiocaps.toml"])
def test_the_plans_of_the_repository_are_read(name, monkeypatch):
    content = read_options(Path(__file__).parent.parent / "benchmarks" / name)
    made = make_plan(content | {"prompts": PROMPTS})
    assert made.reference in [part.label for part in made.methods]


# Statistics


def test_the_sign_flip_test_counts_all_signs():
    values = torch.tensor([0.4, -0.1, 0.3, 0.9, -0.2], dtype=torch.float64)
    every = itertools.product((1, -1), repeat=5)
    sums = [abs(sum(s * v for s, v in zip(signs, values.tolist(), strict=True))) for signs in every]
    expected = sum(total >= abs(values.sum().item()) - 1e-9 for total in sums) / 32
    assert sign_flip(values) == pytest.approx(expected)
    assert sign_flip(torch.zeros(4)) == 1.0


def test_random_signs_come_near_the_count():
    values = torch.randn(13, generator=torch.Generator().manual_seed(0)) + 0.3
    exact = sign_flip(values)
    many = sign_flip(torch.cat([values, torch.zeros(3)]))  # zeros change no sum, and 16 are too many to count
    assert many == pytest.approx(exact, abs=0.02)


def test_holm_rejects_in_steps():
    values = [0.001, 0.02, 0.02, 0.9]
    assert holm(values) == pytest.approx([0.004, 0.06, 0.06, 0.9])


def test_methods_are_paired_by_prompt():
    base = {"a": 0.1, "b": 0.9, "c": 0.5}
    found = compare({"base": base, "better": {"a": 0.2, "b": 1.0, "d": 0.0}}, "base")
    assert list(found) == ["better"]
    assert found["better"].prompts == 2
    assert found["better"].interval == pytest.approx((0.1, 0.1, 0.1))
    assert found["better"].delta == 1.0


def test_a_metric_that_ranks_chance_above_the_oracle_is_printed_as_failed(tmp_path):
    values = {"oracle": {"a": 0.2, "b": 0.4}, "random": {"a": 0.5, "b": 0.5}}
    assert "no better than random" in out_of_order(values, True)
    assert out_of_order(values, False) is None
    run(plan(), tmp_path)
    found = results.load(tmp_path)
    wrong = replace(found, metrics=[replace(m, higher_is_better=not m.higher_is_better) for m in found.metrics])
    write_benchmark(wrong, tmp_path)
    table = (tmp_path / "table.md").read_text()
    assert "FAILED" in table
    assert "is no better than random" in table
    assert "FAILED" in (tmp_path / "report.html").read_text()


# The command line


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


def test_the_command_runs_shows_and_merges(tmp_path):
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    given = ["-g", "analytic", "-m", "cross_attention,occlusion", "--metrics", "roc_auc", "--device", "cpu"]
    out = tmp_path / "out"
    made = invoke("bench", *given, "--prompts", tmp_path / "prompts.txt", "--out", out)
    assert made.exit_code == 0, made.output
    assert {"results.csv", "costs.csv", "results.json", "table.md", "report.html"} <= {f.name for f in out.iterdir()}
    for text in ("Leaderboard: analytic", "roc_auc ↑", "degraded oracle", "occlusion", "Cliff's delta"):
        assert text in made.stdout
    shown = invoke("bench", "show", out, "--reference", "random")
    assert shown.exit_code == 0, shown.output
    assert "against random" in shown.stdout
    joined = invoke("bench", "merge", out, "--out", tmp_path / "joined")
    assert joined.exit_code == 0, joined.output
    assert (tmp_path / "joined" / "results.csv").read_bytes() == (out / "results.csv").read_bytes()


def test_a_plan_in_toml_is_run_and_options_go_before_it(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text('generators = ["analytic"]\nmethods = ["occlusion"]\nmetrics = ["roc_auc"]\nprompts = ["rain"]\n')
    made = invoke("bench", file, "--out", tmp_path / "out", "--methods", "cross_attention")
    assert made.exit_code == 0, made.output
    assert {row.method for row in results.load(tmp_path / "out").rows} == {*CONTROLS, "cross_attention"}
    file.write_text("generator = 3")
    wrong = invoke("bench", file, "--out", tmp_path / "out")
    assert wrong.exit_code == 2
    assert "did you mean 'generators'" in wrong.stderr


def test_explanations_made_earlier_are_evaluated(tmp_path):
    out = tmp_path / "explained"
    given = ["-g", "analytic", "-m", "cross_attention,occlusion", "--audio-repeats", 0, "--device", "cpu"]
    assert invoke("explain", "a dog barks", *given, "-o", out).exit_code == 0
    shown = invoke("evaluate", out, "--metrics", "roc_auc,mask_size", "--device", "cpu", "-o", tmp_path / "tables")
    assert shown.exit_code == 0, shown.output
    for text in ("cross_attention", "occlusion", "oracle"):
        assert text in shown.stdout
    assert (tmp_path / "tables" / "table.md").is_file()


def test_what_a_folder_is_not_is_told(tmp_path):
    shown = invoke("bench", "show", tmp_path)
    assert shown.exit_code == 2
    assert len(shown.stderr.splitlines()) == 1
    assert Store(tmp_path).read_cell("0" * 32) is None
    assert cells.Model("analytic", "cpu", "auto", None).load() is cells.Model("analytic", "cpu", "auto", None).load()
