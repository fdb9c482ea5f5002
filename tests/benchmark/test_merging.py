"""The folders of several runs are joined."""

import pytest
from bench_helpers import PROMPTS, csv_of, invoke, plan

from tagxai import TagxaiError
from tagxai.benchmark import cells, results
from tagxai.benchmark.merging import merge
from tagxai.benchmark.running import run
from tagxai.report.benchmark_tables import tables


def test_runs_of_two_machines_are_one_when_merged(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path / "a")
    run(plan(prompts=PROMPTS[1:]), tmp_path / "b")
    run(plan(), tmp_path / "whole")
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert csv_of(tmp_path / "c") == csv_of(tmp_path / "whole")
    run(plan(generators=["analytic:linear"]), tmp_path / "other")
    assert len(merge([tmp_path / "other"], tmp_path / "c")) == 3  # beside what is there
    assert len(results.load(tmp_path / "c").cells) == 2 * len(results.load(tmp_path / "whole").cells)


def test_what_was_merged_is_repeated_by_a_command_for_each_plan(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path / "a")
    run(plan(prompts=PROMPTS[1:]), tmp_path / "b")
    said = invoke("bench", "merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c").stdout.splitlines()
    repeated = [line.split()[4] for line in said if line.startswith("repeat it:")]
    assert repeated == [str(tmp_path / "c" / name) for name in ("plan.toml", "plan-2.toml")]


def test_a_model_that_lies_elsewhere_on_another_machine_has_one_name_when_merged(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path / "a")
    run(plan(prompts=PROMPTS[1:], generators=["analytic:logistic"]), tmp_path / "b")
    run(plan(), tmp_path / "whole")
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert csv_of(tmp_path / "c") == csv_of(tmp_path / "whole")


def test_a_method_that_another_run_labels_otherwise_has_one_name_when_merged(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path / "a")
    mine = {"methods": [{"name": "cross_attention", "label": "mine"}]}
    run(plan(prompts=PROMPTS[1:], **mine), tmp_path / "b")
    run(plan(), tmp_path / "whole")
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert csv_of(tmp_path / "c") == csv_of(tmp_path / "whole")
    with pytest.raises(TagxaiError, match="no method of this benchmark"):
        results.load(tmp_path / "c", reference="mine")


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_value_goes_before_an_error_whatever_the_order_of_merged_folders(order, tmp_path, monkeypatch):
    run(plan(), tmp_path / "a")
    monkeypatch.setattr(cells, "measure", lambda *given: 1 / 0)
    run(plan(), tmp_path / "b")
    merge([tmp_path / name for name in order], tmp_path / "both")
    assert csv_of(tmp_path / "both") == csv_of(tmp_path / "a")
    merge([tmp_path / "b"], tmp_path / "late")
    merge([tmp_path / "late", tmp_path / "a"], tmp_path / "late")  # into a folder that is one of them
    assert csv_of(tmp_path / "late") == csv_of(tmp_path / "a")


def test_a_folder_that_is_merged_twice_is_told_once(tmp_path):
    run(plan(), tmp_path / "a")
    assert len(merge([tmp_path / "a", tmp_path / "a"], tmp_path / "b")) == 1
    assert len(merge([tmp_path / "a", tmp_path / "b"], tmp_path / "b")) == 1
    provenance = tables(results.load(tmp_path / "b"))[-1].rows
    assert provenance == tables(results.load(tmp_path / "a"))[-1].rows


def test_one_label_must_mean_one_thing_to_be_merged(tmp_path):
    first = {"name": "cross_attention", "label": "x", "layers": "0"}
    run(plan(methods=[first], metrics=["mask_size"]), tmp_path / "a")
    run(plan(methods=[first | {"layers": "all"}], metrics=["mask_size"]), tmp_path / "b")
    with pytest.raises(TagxaiError, match="method 'x' is not the same"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
