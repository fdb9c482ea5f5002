"""benchmarks/methods_cost.py: rows, interleaving, extrapolation, aims, and that no row is measured twice."""

import json
import sys
from concurrent.futures import Future

import cost_one_code
import cost_rows
import cost_tables
import cost_timing
import methods_cost
import pytest

from tagxai.methods.integrated_gradients import IntegratedGradients
from tagxai.registering.registry import registry

ROW = {"machine": "a machine", "peak_mib": 1.0}


@pytest.fixture
def on_random(generator, monkeypatch):
    monkeypatch.setattr(methods_cost, "load", lambda model: generator)


def measured(row):
    return methods_cost.measure("any", row, 0.2, 1, 2, 60.0, 0.0)


@pytest.mark.parametrize(
    ("row", "passes"),
    [
        ("generate", {}),
        ("pass", {"forward_passes": 1}),
        ("pass without logits", {"forward_passes": 1}),
        ("pass of words + 1 rows", {"forward_passes": 1 + 7 + 1}),  # words of PROMPT, with `</s>`
        ("audiogenx", {"forward_passes": 24, "backward_passes": 20, "forward_mode_passes": 0}),
        ("captum:FeatureAblation", {"forward_passes": 9, "backward_passes": 0}),
    ],
)
def test_a_row_reports_each_repeat_its_references_and_passes(row, passes, on_random):
    found = measured(row)
    assert len(found["seconds"]) == 2
    assert {name: len(found["references"][name]) for name in ("generate", "pass")} == {"generate": 2, "pass": 2}
    assert min(found["seconds"]) > 0
    assert found["peak_mib"] is None or found["peak_mib"] >= 0
    assert {name: found.get(name) for name in passes} == passes


@pytest.mark.parametrize(
    ("row", "backward_of_a_code"),
    [
        ("integrated_gradients, reverse mode", IntegratedGradients().points),
        ("captum, each code: Saliency", 1),
        ("captum, each code: FeatureAblation", 0),
    ],
)
def test_a_row_of_some_codes_says_so_and_reports_the_passes_of_all(row, backward_of_a_code, on_random):
    found = measured(row)
    assert (found["measured_codes"], found["all_codes"]) == (3, found["codes"])
    assert found["backward_passes"] == backward_of_a_code * found["codes"]


def test_seconds_are_scaled_but_not_what_all_codes_share():
    some = {"measured_codes": 2, "all_codes": 10}
    assert cost_timing.scaled(some, 4.0) == pytest.approx(20.0)
    assert cost_timing.scaled({**some, "shared_seconds": 1.0}, 4.0) == pytest.approx(16.0)
    assert cost_timing.scaled({}, 4.0) == 4.0


class Clock:
    """CPU time that passes only while something works."""

    def __init__(self, monkeypatch):
        self.now, self.ran = 0.0, []
        monkeypatch.setattr(cost_timing, "process_time", lambda: self.now)

    def work(self, name, seconds):
        def run():
            self.ran.append(name)
            self.now += seconds
            return {"name": name}

        return run


def test_work_and_references_are_measured_in_turn_and_in_alternating_order(monkeypatch):
    clock = Clock(monkeypatch)
    references = {"generate": clock.work("generate", 2.0), "pass": clock.work("pass", 0.5)}
    found = cost_timing.interleaved(clock.work("own", 3.0), references, repeats=3, least=0.1)
    assert clock.ran == ["own", "generate", "pass", "pass", "generate", "own", "own", "generate", "pass"]
    assert found.seconds == [3.0] * 3
    assert found.references == {"generate": [2.0] * 3, "pass": [0.5] * 3}
    assert found.found == {"name": "own"}
    assert cost_timing.ratios(found.seconds, found.references["generate"]) == [1.5] * 3


def test_a_machine_that_slows_down_between_repeats_changes_no_ratio(monkeypatch):
    clock, pace = Clock(monkeypatch), iter([1.0, 1.0, 10.0, 10.0, 3.0, 3.0])

    def work(seconds):
        def run():
            clock.now += seconds * next(pace)
            return {}

        return run

    found = cost_timing.interleaved(work(3.0), {"generate": work(2.0)}, repeats=3, least=0.0)
    assert cost_timing.ratios(found.seconds, found.references["generate"]) == pytest.approx([1.5] * 3)


def test_short_work_fills_a_sample_and_expensive_work_stops_at_the_budget(monkeypatch):
    clock = Clock(monkeypatch)
    seconds, _ = cost_timing.sample(clock.work("short", 0.25), least=1.0)
    assert (seconds, len(clock.ran)) == (0.25, 4)
    found = cost_timing.interleaved(clock.work("long", 5.0), {}, repeats=9, budget=8.0)
    assert len(found.seconds) == 2


def test_the_shapley_values_of_ten_words_are_exact():
    assert len([*cost_rows.LONG_PROMPT.split(), "</s>"]) == cost_rows.OPTIONS[cost_rows.SHAPLEY]["exact_up_to"] == 11


def test_captum_on_one_code_runs_as_many_points_as_ours(generator, generation):
    assert cost_one_code.explain_code(generator, generation, "Saliency", 1, 3) == (1, 1)
    points = IntegratedGradients().points
    assert cost_one_code.explain_code(generator, generation, "IntegratedGradients", 1, 3) == (points, points)


def test_every_method_has_a_row_and_every_reference_is_one():
    rows = cost_rows.rows()
    assert set(registry().methods) <= set(rows)
    assert "captum:KernelShap" in rows
    assert {reference for row in rows for reference in cost_rows.references(row)} <= set(rows)
    assert {aim.row for aim in cost_rows.AIMS} | set(cost_rows.OURS) <= set(rows)


def test_aims_and_ratios_are_those_within_a_repeat():
    def row(seconds, **references):
        return {**ROW, "seconds": seconds, "references": {name.replace("_", " "): s for name, s in references.items()}}

    reverse = row([30.0, 60.0, 20.0], generate=[1.0, 2.0, 1.0], **{"pass": [1.0, 1.0, 1.0]})
    reverse["references"]["integrated_gradients"] = [1.0, 3.0, 1.0]
    found = {
        cost_rows.REVERSE: reverse | {"measured_codes": 3, "all_codes": 40, "backward_passes": 480},
        "saliency": row([1.0, 9.0, 1.0], generate=[2.0, 9.0, 4.0], **{"pass": [1.0, 1.0, 1.0]}),
        "broken": {"error": "RuntimeError: a bug", "machine": "a machine"},
    }
    text = cost_tables.markdown({"seconds": 1.0, "models": {"tiny": found}})
    assert "| integrated gradients: reverse mode per output / forward mode | 20 [20, 30] | >= 15 | yes |" in text
    line = f"| {cost_rows.REVERSE} | 30 | 30 [20, 30] | 30 [20, 60] |  | 480 |  |  | 1 | 3 | extrapolated from 3 of 40"
    assert line in text
    assert "| saliency | 1 | 0.5 [0.25, 1] | 1 [1, 9] |" in text
    assert "| broken |  |  |  |  |  |  |  |  |  | RuntimeError: a bug |" in text
    assert "Shapley" not in text


class InProcess:
    """In place of a pool of one process."""

    def __init__(self, *_, **__): ...

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def call(on_random, monkeypatch, tmp_path):
    """The program with some arguments, in one process; `call.file` is its JSON."""
    monkeypatch.setattr(methods_cost, "ProcessPoolExecutor", InProcess)

    def run(*arguments):
        file = ["--json", str(run.file)] if "--json" not in arguments else []
        monkeypatch.setattr(sys, "argv", ["methods_cost.py", *file, *arguments])
        methods_cost.main()

    run.file = tmp_path / "cost.json"
    return run


def test_a_second_call_measures_only_what_is_missing_or_failed(call, monkeypatch, capsys):
    asked, measure = [], methods_cost.measure

    def counted(model, row, *more):
        asked.append(row)
        if row == "saliency":
            raise RuntimeError("a bug")
        return measure(model, row, *more, 0.0)

    monkeypatch.setattr(methods_cost, "measure", counted)
    options = ("--models", "small", "--seconds", "0.2", "--repeats", "2", "--only")
    call(*options, "generate", "pass", "saliency")
    call(*options, "generate", "random", "saliency")
    assert asked == ["generate", "pass", "saliency", "random", "saliency"]
    found = json.loads(call.file.read_text())["models"]["small"]
    assert found["saliency"]["error"] == "RuntimeError: a bug"
    assert "commit" in found["pass"]["machine"]
    text = call.file.with_suffix(".md").read_text()
    assert "| pass |" in text
    assert "RuntimeError: a bug" in text
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--only", "satiency"], "no row named 'satiency'; did you mean 'saliency'?"),
        (["--models", "tny"], "no model named 'tny'; did you mean 'tiny'?"),
        (["--seconds", "0"], "expected a number above 0, not '0'"),
        (["--repeats", "1.5"], "expected a whole number above 0, not '1.5'"),
        (["--json", "nowhere/cost.json"], "a folder that does not exist: nowhere"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, options, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        call(*options)
    assert sentence in capsys.readouterr().err + str(stopped.value.code)
    assert stopped.value.code not in (0, None)
    assert not call.file.exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"seconds": 1.0, "models": {}}'])
def test_a_file_that_cannot_be_continued_is_refused_and_left_as_it_is(call, content):
    call.file.write_text(content)
    with pytest.raises(SystemExit, match="damaged, or of another version"):
        call("--only", "pass")
    assert call.file.read_text() == content
