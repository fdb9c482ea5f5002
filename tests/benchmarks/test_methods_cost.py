"""The plumbing of benchmarks/methods_cost.py: rows, extrapolation, aims, and that no row is measured twice."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tagxai.methods.integrated_gradients import IntegratedGradients

FILE = Path(__file__).parents[2] / "benchmarks" / "methods_cost.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("methods_cost", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["methods_cost"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["methods_cost"]


@pytest.fixture
def on_random(benchmark, generator, monkeypatch):
    monkeypatch.setattr(benchmark, "load", lambda model: generator)
    return benchmark


@pytest.mark.parametrize(
    "row",
    [
        "generate",
        "pass",
        "pass without logits",
        "pass of words + 1 rows",
        "integrated_gradients",
        "captum:FeatureAblation",
    ],
)
def test_a_row_tells_seconds_memory_and_passes(row, on_random):
    found = on_random.measure("any", row, 0.2, 1)
    assert found["seconds"] > 0
    assert found["peak_mib"] >= 0
    words = 7 + 1  # of PROMPT, with `</s>`
    passes = {
        "pass": 1,
        "pass without logits": 1,
        "pass of words + 1 rows": 1 + words,
        "captum:FeatureAblation": 1 + words,
    }
    assert found.get("passes") == passes.get(row, found.get("passes"))


@pytest.mark.parametrize("row", ["integrated_gradients, reverse mode", "captum, each code: FeatureAblation"])
def test_a_row_of_some_codes_is_scaled_up_and_says_so(row, on_random):
    found = on_random.measure("any", row, 0.2, 1)
    assert found["extrapolated"]
    assert (found["measured_codes"], found["all_codes"]) == (3, found["codes"])


def test_seconds_are_scaled_but_not_what_all_codes_share(benchmark):
    some = {"measured_codes": 2, "all_codes": 10}
    assert benchmark.scaled(some, 4.0)["seconds"] == pytest.approx(20.0)
    assert benchmark.scaled({**some, "shared_seconds": 1.0}, 4.0)["seconds"] == pytest.approx(16.0)
    assert benchmark.scaled({}, 4.0) == {}


def test_a_short_row_is_run_again_and_the_fastest_run_counts(on_random, monkeypatch):
    monkeypatch.setattr(on_random, "MOST_RUNS", 4)
    ran = []
    monkeypatch.setattr(on_random, "work", lambda *_: lambda clip: ran.append(clip.frames) or {"passes": len(ran)})
    found = on_random.measure("any", "random", 0.2, 1)
    assert ran == [2, 5, 5, 5, 5]  # the first warms up
    assert found["runs"] == 4
    assert found["seconds"] < 0.01


def test_the_shapley_values_of_ten_words_are_exact(benchmark):
    assert len([*benchmark.LONG_PROMPT.split(), "</s>"]) == benchmark.OPTIONS["shapley, 10 words"]["exact_up_to"] == 11


def test_captum_on_one_code_is_our_number_for_it(benchmark, generator, generation):
    assert benchmark.direct(generator, generation, "Saliency", 1, 3) == 1
    assert benchmark.direct(generator, generation, "IntegratedGradients", 1, 3) == IntegratedGradients().points


def test_every_method_has_a_row(benchmark):
    from tagxai.registering.registry import registry

    assert set(registry().methods) <= set(benchmark.rows())
    assert "captum:KernelShap" in benchmark.rows()


def test_aims_are_judged_where_their_rows_are_there(benchmark):
    rows = {"integrated_gradients": {"seconds": 1.0}, "integrated_gradients, reverse mode": {"seconds": 30.0}}
    ((what, found, wanted, met),) = benchmark.aims(rows)
    assert (found, wanted, met) == (30.0, ">= 15", True)
    assert "reverse mode per output" in what
    assert benchmark.aims({"cross_attention": {"seconds": 2.0}, benchmark.PLAIN: {"seconds": 1.0}})[0][3] is False


class InProcess:
    """Instead of a fresh process."""

    def Pool(self, size):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def apply(self, function, arguments):
        return function(*arguments)


def test_a_second_call_measures_only_what_is_missing_and_failures_are_told(on_random, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(on_random, "get_context", lambda kind: InProcess())
    measured, measure = [], on_random.measure

    def counted(model, row, *more):
        measured.append(row)
        return measure(model, row, *more)

    monkeypatch.setattr(on_random, "measure", counted)
    file = tmp_path / "cost.json"

    def call(*rows):
        arguments = ["methods_cost.py", "--models", "small", "--seconds", "0.2", "--json", str(file), "--only", *rows]
        monkeypatch.setattr(sys, "argv", arguments)
        on_random.main()

    call("generate", "pass", "nonsense")
    call("generate", "pass", "random")
    assert measured == ["generate", "pass", "nonsense", "random"]
    found = json.loads(file.read_text())["models"]["small"]
    assert "no method named 'nonsense'" in found["nonsense"]["error"]
    assert "commit" in found["pass"]["machine"]
    text = file.with_suffix(".md").read_text()
    assert "| pass |" in text
    assert "no method named 'nonsense'" in text
    assert text in capsys.readouterr().out
