"""The commands of benchmarks, as their users run them."""

import json

import pytest
from bench_helpers import CONTROLS, PROMPTS, invoke, plan
from tagxai_analytic.generator import AnalyticGenerator

from tagxai import TagxaiError, registry
from tagxai.benchmark import results
from tagxai.benchmark.executors import make_executor
from tagxai.benchmark.models import ModelSpec
from tagxai.benchmark.plan_options import find_suite, read_options
from tagxai.benchmark.running import run
from tagxai.benchmark.store import Store


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
    assert "did you mean 'random'" in invoke("bench", "show", out, "--reference", "randon").stderr
    joined = invoke("bench", "merge", out, "--out", tmp_path / "joined")
    assert joined.exit_code == 0, joined.output
    assert (tmp_path / "joined" / "results.csv").read_bytes() == (out / "results.csv").read_bytes()


def test_a_plan_in_toml_is_run_and_options_go_before_it(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text('generators = ["analytic"]\nmethods = ["occlusion"]\nmetrics = ["roc_auc"]\nprompts = ["rain"]\n')
    made = invoke("bench", file, "--out", tmp_path / "out", "--methods", "cross_attention")
    assert made.exit_code == 0, made.output
    assert {cell.method for cell in results.load(tmp_path / "out").cells} == {*CONTROLS, "cross_attention"}
    file.write_text("generator = 3")
    wrong = invoke("bench", file, "--out", tmp_path / "out")
    assert wrong.exit_code == 2
    assert "did you mean 'generators'" in wrong.stderr


def test_a_plan_says_where_it_is_run_unless_the_command_does(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "tagxai.benchmark.running.make_executor", lambda *a, **k: asked.append(a) or make_executor("local")
    )
    file = tmp_path / "plan.toml"
    content = 'generators = ["analytic"]\nmethods = ["occlusion"]\nmetrics = ["mask_size"]\nprompts = ["rain"]\n'
    file.write_text(content + 'executor = "processes"\nworkers = 3\n')
    for given in ([], ["--executor", "ray", "--workers", 2]):
        assert invoke("bench", *given, file, "--out", tmp_path / "out").exit_code == 0
    assert asked == [("processes", 3), ("ray", 2)]
    assert len(Store(tmp_path / "out").runs()) == 1


def test_a_suite_is_a_plan_that_comes_with_the_package(tmp_path):
    given = ["-g", "analytic", "--metrics", "mask_size", "-m", "occlusion", "--executor", "local"]
    (tmp_path / "prompts.txt").write_text("rain falls")
    made = invoke("bench", "--suite", "tiny", *given, "-p", tmp_path / "prompts.txt", "-o", tmp_path / "out")
    assert made.exit_code == 0, made.output
    assert "*random*" in made.stdout
    (run_made,) = Store(tmp_path / "out").runs()
    assert run_made.plan.reference == "occlusion"  # that of the suite is not among the methods
    assert run_made.plan.time_limit == read_options(find_suite("tiny"))["time_limit"]
    unknown = invoke("bench", "--suite", "tinny", "-o", tmp_path / "out")
    assert unknown.exit_code == 2
    assert "no suite named 'tinny'; did you mean 'tiny'? choices: tiny" in unknown.stderr
    both = invoke("bench", tmp_path / "plan.toml", "--suite", "tiny", "-o", tmp_path / "out")
    assert "not both" in both.stderr


def test_explanations_made_earlier_are_evaluated(tmp_path):
    out = tmp_path / "explained"
    given = ["-g", "analytic", "-m", "cross_attention,occlusion", "--audio-repeats", 0, "--device", "cpu"]
    assert invoke("explain", "a dog barks", *given, "-o", out).exit_code == 0
    shown = invoke("evaluate", out, "--metrics", "roc_auc,mask_size", "--device", "cpu", "-o", tmp_path / "tables")
    assert shown.exit_code == 0, shown.output
    for text in ("cross_attention", "occlusion", "oracle"):
        assert text in shown.stdout
    assert (tmp_path / "tables" / "table.md").is_file()
    twice = invoke("evaluate", out, out, "--metrics", "mask_size", "--device", "cpu")
    assert twice.exit_code == 2
    assert "2 explanations are by 'cross_attention' of the prompt 'a dog barks' with seed 0" in twice.stderr


def test_evaluate_ends_with_1_where_a_metric_failed(tmp_path, monkeypatch):
    given = ["-g", "analytic", "-m", "occlusion", "--audio-repeats", 0, "--device", "cpu"]
    assert invoke("explain", "a dog barks", *given, "-o", tmp_path / "explained").exit_code == 0
    monkeypatch.setattr(registry().metric("mask_size"), "score", lambda *given: 1 / 0)
    asked = ["evaluate", tmp_path / "explained", "--metrics", "gini,mask_size", "--device", "cpu"]
    shown = invoke(*asked, "-o", tmp_path / "tables")
    assert shown.exit_code == 1
    assert "ZeroDivisionError" in shown.stdout
    assert "gini" in shown.stdout
    assert (tmp_path / "tables" / "table.md").is_file()


def test_evaluate_leaves_the_tables_of_a_benchmark_alone(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path)
    result = invoke("evaluate", tmp_path / "missing", "--out", tmp_path)
    assert result.exit_code == 2
    assert "holds a benchmark; give another folder" in result.stderr


def test_a_control_that_knows_nothing_is_told_as_such(tmp_path, monkeypatch):
    given = ["-g", "analytic", "-m", "occlusion", "--audio-repeats", 0, "--device", "cpu"]
    assert invoke("explain", "a dog barks", *given, "-o", tmp_path / "explained").exit_code == 0
    monkeypatch.setattr(AnalyticGenerator, "truth", lambda self, *given: None)
    out = tmp_path / "tables"
    shown = invoke("evaluate", tmp_path / "explained", "--metrics", "gini,mask_size", "--device", "cpu", "-o", out)
    assert shown.exit_code == 0, shown.output
    rows = json.loads((out / "results.json").read_text())["cells"]
    assert not any(row["error"] for row in rows)
    why = {(row["method"], row["metric"]): row["not_applicable"] for row in rows if row["not_applicable"]}
    assert set(why) == {(oracle, m) for oracle in ("oracle", "degraded oracle") for m in ("gini", "mask_size")}
    assert why["oracle", "gini"].startswith("method 'oracle' does not apply: nothing is known")


def test_evaluate_refuses_a_file_for_its_tables_before_it_computes(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("tagxai.benchmark.evaluating.load_attributions", asked.append)
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        refused = invoke("evaluate", tmp_path, "--out", out)
        assert refused.exit_code == 2
        assert len(refused.stderr.splitlines()) == 1
        assert "is a file or lies below one; give a folder" in refused.stderr
    assert asked == []
    assert (tmp_path / "file").read_text() == "mine"
    assert invoke("evaluate", tmp_path, "--metrics", "none", "--out", tmp_path / "new").exit_code == 2
    assert not (tmp_path / "new").exists()


def test_what_a_folder_is_not_is_told(tmp_path):
    shown = invoke("bench", "show", tmp_path)
    assert shown.exit_code == 2
    assert len(shown.stderr.splitlines()) == 1
    merged = invoke("bench", "merge", tmp_path, "-o", tmp_path / "merged")
    assert merged.exit_code == 2
    with pytest.raises(TagxaiError, match="no executor named 'lcal'"):
        run(plan(), tmp_path / "new" / "folder", executor="lcal")
    assert not list(tmp_path.iterdir())  # nothing is left of what never began
    assert Store(tmp_path).read_cell("0" * 32) is None
    assert ModelSpec("analytic", "cpu", "auto", None).load() is ModelSpec("analytic", "cpu", "auto", None).load()
