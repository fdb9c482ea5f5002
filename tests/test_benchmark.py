"""Benchmarks as their users run them: plans, folders that survive, statistics against slow restatements."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tagxai import Method, TagxaiError, storage
from tagxai.benchmark import cells, results
from tagxai.benchmark.executors import ProcessDiedError, make_executor
from tagxai.benchmark.guards import time_limit
from tagxai.benchmark.leaderboard import out_of_order
from tagxai.benchmark.merging import merge
from tagxai.benchmark.plan import find_suite, make_plan, read_options
from tagxai.benchmark.prompts import find_prompts
from tagxai.benchmark.running import check, run
from tagxai.benchmark.statistics import compare, holm, sign_flip
from tagxai.benchmark.store import Row, Run, Store
from tagxai.cli import app
from tagxai.errors import DamagedFileError
from tagxai.hooks import edit_attention
from tagxai.methods.cross_attention import CrossAttention
from tagxai.registry import registry
from tagxai.report.benchmark import tables, write_benchmark

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


blocks: list[AbstractContextManager] = []  # that `Bad` leaves open
hooks: list[torch.utils.hooks.RemovableHandle] = []  # that `Bad` leaves on all modules


def double(module, given, output):
    """A forward hook that changes what linear layers give."""
    return output * 2 if isinstance(module, torch.nn.Linear) else None


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
        if self.how == "exits":
            sys.exit(3)
        if self.how == "is no attribution":
            return 3
        if self.how == "leaves an open block":  # its edit changes nothing, yet
            blocks.append(edit_attention(generator.attention_sites(), lambda site, weights: None))
            blocks[-1].__enter__()
            return CrossAttention().attribute(generator, generation)
        if self.how.startswith("returns"):
            found = CrossAttention().attribute(generator, generation)
            if self.how == "returns NaN at once":
                return replace(found, scores=found.scores * float("nan"))
            if self.how == "returns NaN later":  # than its Attribution looks
                found.scores[0, 0, 0] = float("nan")
            else:
                object.__setattr__(found, "scores", found.scores[:, :-1])
            return found
        if self.how.startswith("leaves a hook"):
            found = CrossAttention().attribute(generator, generation)
            if self.how == "leaves a hook of all modules":
                hooks.append(torch.nn.modules.module.register_module_forward_hook(double))
            elif self.how == "leaves a hook that looks":
                generator.model.decoder.register_forward_pre_hook(lambda module, given: None)
            else:
                generator.attention_sites()[0].projection.register_forward_hook(double)
            return found
        generator.attention_sites()[0].edits.append(lambda site, weights: weights * 0)
        return CrossAttention().attribute(generator, generation)


@pytest.fixture
def bad(monkeypatch):
    known = registry().methods
    monkeypatch.setitem(known, "bad", replace(known["random"], name="bad", cls=Bad))
    yield
    while blocks:
        blocks.pop().__exit__(None, None, None)
    while hooks:
        hooks.pop().remove()


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


def test_a_job_that_is_run_again_computes_what_is_not_done(calls, tmp_path, monkeypatch):
    class Twice:  # runs every job again, as after a death
        here = False

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
    assert len(measured) == len(results.load(tmp_path).rows)


def test_failed_cells_are_computed_again_when_asked(tmp_path, monkeypatch):
    good = cells.measure
    monkeypatch.setattr(cells, "measure", lambda *given: float("nan") / 0)
    run(plan(), tmp_path)
    assert all(row.error for row in results.load(tmp_path).rows)
    monkeypatch.setattr(cells, "measure", good)
    run(plan(), tmp_path)
    assert all(row.error for row in results.load(tmp_path).rows)
    run(plan(), tmp_path, retry_failed=True)
    assert not any(row.error for row in results.load(tmp_path).rows)


def test_a_crash_is_laid_to_the_method_that_it_comes_with(tmp_path):
    class Dying:
        here = False

        def map(self, function, jobs):
            for job in jobs:
                dies = any(method.label == "occlusion" for method, _ in getattr(job, "todo", ()))
                yield job, ProcessDiedError() if dies else function(job)

        def close(self):
            pass

    run(plan(methods=["cross_attention", "occlusion"]), tmp_path, executor=Dying())
    found = results.load(tmp_path)
    assert found.missing == 0
    assert {row.method for row in found.rows if row.error} == {"occlusion"}
    assert "its process died" in next(row.error for row in found.rows if row.error)


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
        ("never ends", "longer than the limit of 1 s"),
        ("is no attribution", "int, not an Attribution"),
        ("exits", "SystemExit: 3"),
        ("leaves an edit", "left something behind"),
        ("leaves an open block", "left hooks"),
        ("returns NaN at once", "scores hold NaN"),
        ("returns NaN later", "scores hold NaN"),
        ("returns the wrong shape", "do not fit a generation"),
    ],
)
def test_a_bad_method_spoils_its_own_cells_only(how, told, bad, tmp_path):
    check_spoils_its_own(how, told, {"metrics": ["roc_auc"]}, tmp_path)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("leaves a hook", "left hooks"),
        ("leaves a hook that looks", "left hooks"),
        ("leaves a hook of all modules", "left hooks"),
    ],
)
def test_a_hook_of_pytorch_that_is_left_spoils_no_other_cells(how, told, bad, random_model, tmp_path):
    content = {"generators": [f"musicgen:{random_model}"], "metrics": ["gini"], "duration": 0.4}
    check_spoils_its_own(how, told, content, tmp_path)


def check_spoils_its_own(how, told, content, folder):
    """Beside a bad method, which comes first, the cells of all others are byte for byte what they are without it."""
    one = content | {"prompts": PROMPTS[:1]}
    run(plan(**one), folder / "alone")
    methods = [{"name": "bad", "how": how}, "cross_attention"]
    run(plan(methods=methods, time_limit=1 if how == "never ends" else None, **one), folder / "both")
    errors = {row.method: row.error for row in results.load(folder / "both").rows if row.error}
    assert list(errors) == [f"bad(how={how})"]
    assert told in errors[f"bad(how={how})"]
    alone, both = timeless_cells(folder / "alone"), timeless_cells(folder / "both")
    assert len(alone) > 2
    assert {name: cell for name, cell in both.items() if name in alone} == alone
    assert len(both) == len(alone) + 1
    kept = [line for line in csv_of(folder / "both").splitlines() if b",bad(how" not in line]
    assert kept == csv_of(folder / "alone").splitlines()


def timeless_cells(folder):
    """The text of each cell's file, but for what depends on a clock."""
    cells = {file.stem: json.loads(file.read_text()) for file in folder.glob("cells/*/*.json")}
    clock = ("generate_seconds", "seconds", "sha256")
    return {name: json.dumps({k: v for k, v in cell.items() if k not in clock}) for name, cell in cells.items()}


def test_runs_of_two_machines_are_one_when_merged(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path / "a")
    run(plan(prompts=PROMPTS[1:]), tmp_path / "b")
    run(plan(), tmp_path / "whole")
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert csv_of(tmp_path / "c") == csv_of(tmp_path / "whole")
    run(plan(generators=["analytic:linear"]), tmp_path / "other")
    assert len(merge([tmp_path / "other"], tmp_path / "c")) == 3  # beside what is there
    assert len(results.load(tmp_path / "c").rows) == 2 * len(results.load(tmp_path / "whole").rows)


def test_a_model_that_lies_elsewhere_on_another_machine_has_one_name_when_merged(tmp_path):
    run(plan(prompts=PROMPTS[:1]), tmp_path / "a")
    run(plan(prompts=PROMPTS[1:], generators=["analytic:logistic"]), tmp_path / "b")
    run(plan(), tmp_path / "whole")
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert csv_of(tmp_path / "c") == csv_of(tmp_path / "whole")


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


def test_a_setting_that_is_a_table_reaches_the_metric(tmp_path):
    given = {"rain falls": "it rains and rain falls"}
    made = plan(metrics=[{"name": "paraphrase_robustness", "given": given}], prompts=["rain falls"])
    assert made.metrics[0].metric().given == given
    run(made, tmp_path)
    assert csv_of(tmp_path)


def test_two_names_of_one_model_are_refused(tmp_path):
    told = "^generators 'analytic' and 'analytic:logistic' are the same model with equal weights; give one of them$"
    with pytest.raises(TagxaiError, match=told):
        run(plan(generators=["analytic", "analytic:logistic"]), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_plan_without_a_cell_is_refused():
    found = {
        "analytic": {"identity": 1, "offers": ["attention"], "max_duration": 9},
        "analytic:linear": {"identity": 2, "offers": ["truth"], "max_duration": 9},
    }
    alone = Run(plan(generators=list(found), metrics=["roc_auc"]), found, {})  # one for the method, one for the metric
    with pytest.raises(TagxaiError, match="analytic, analytic:linear works with both a method and a metric"):
        check(alone)


def test_one_label_must_mean_one_thing_to_be_merged(tmp_path):
    first = {"name": "cross_attention", "label": "x", "layers": "0"}
    run(plan(methods=[first], metrics=["mask_size"]), tmp_path / "a")
    run(plan(methods=[first | {"layers": "all"}], metrics=["mask_size"]), tmp_path / "b")
    with pytest.raises(TagxaiError, match="method 'x' is not the same"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")


KILLED = """
import sys
from tagxai.benchmark.plan import make_plan
from tagxai.benchmark.running import check, run
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


def die_if_asked(job):
    if job == "dies":
        time.sleep(0.3)  # until the others are under way
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    return job


@pytest.mark.slow
def test_a_job_is_not_given_up_for_the_death_of_another(tmp_path):
    executor = make_executor("processes", 2)
    found = dict(executor.map(die_if_asked, ["dies", "a", "b"]))
    executor.close()
    assert isinstance(found.pop("dies"), ProcessDiedError)
    assert found == {"a": "a", "b": "b"}


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
        ({"reference": 3}, "reference takes the name of a method, not 3"),
        ({"methods": ["random"]}, "'random' is a control"),
        ({"methods": [{"name": "occlusion", "label": "oracle"}]}, "'oracle' is a control"),
        ({"prompts": {"file": "a.csv", "column": 3}}, "column of prompts takes text, not 3"),
        ({"prompts": {"file": "laboratory:test:3", "limit": 2}}, "'laboratory:test:3' is no file"),
        ({"prompts": {"file": "a.csv", "limit": 0}}, "a number from 1 up, not 0"),
        ({"prompts": {"file": "missing.csv"}}, "there is no file 'missing.csv'"),
        ({"prompts": "laboratory:test:99999999999"}, "of at most 100000"),
        ({"threads": 10**11}, "threads takes at most 4096"),
        (
            {"methods": [{"name": "occlusion", "label": "a"}, {"name": "occlusion", "label": "b"}]},
            "methods 'a' and 'b' have the same settings",
        ),
        ({"prompts": "laboratory:test:²"}, "laboratory:SPLIT:NUMBER"),
        ({"metrics": ["infidelity(samples=0)"]}, "'samples' of metric 'infidelity' must be at least 1, not 0"),
        ({"metrics": ["linear_datamodelling(samples=1)"]}, "must be at least 2, not 1"),
        ({"metrics": ["soft_sufficiency(share=7)"]}, "must be between 0 and 1, not 7"),
        ({"metrics": ["soft_comprehensiveness(share=0)"]}, "must be between 0 and 1, not 0"),
        ({"metrics": ["kl_f(mask=matched, size=-2)"]}, "must be from 0 to 1, not -2"),
        ({"metrics": ["fid_cf(repeats=0)"]}, "must be at least 1, not 0"),
        ({"metrics": ["removal_1(k=0)"]}, "must be at least 1, not 0"),
        ({"metrics": ["seed_robustness(repeats=0)"]}, "must be at least 1, not 0"),
        ({"metrics": ["max_sensitivity(radius=0)"]}, "must be positive, not 0"),
        ({"metrics": ["cascading_randomisation(stages=0)"]}, "must be at least 1, not 0"),
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


AUDIOCAPS = Path(__file__).parent.parent / "benchmarks" / "audiocaps.toml"


@pytest.mark.parametrize("file", [AUDIOCAPS, find_suite("tiny")])
def test_the_plans_of_the_repository_are_read(file):
    content = read_options(file)
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


def test_a_mean_over_fewer_prompts_says_so():
    rows = [Row("analytic", prompt, 0, "long", "mask_size", 0.5) for prompt in PROMPTS]
    rows += [Row("analytic", PROMPTS[0], 0, "short", "mask_size", 0.25)]
    made = plan(methods=[{"name": "occlusion", "label": "long"}, {"name": "shapley", "label": "short"}])
    board = tables(results.Results(rows, made.methods, made.metrics, "long"))[0]
    assert dict(board.rows) == {"long": "0.500 [0.500, 0.500]", "short": "0.250 [0.250, 0.250] (n=1)"}
    assert "fewer prompts" in board.text


def test_a_metric_that_ranks_chance_above_the_oracle_is_printed_as_failed(tmp_path):
    values = {"oracle": {"a": 0.2, "b": 0.4}, "random": {"a": 0.5, "b": 0.5}}
    assert "no better than random" in out_of_order(values, True)
    assert out_of_order(values, False) is None
    between = values | {"degraded oracle": {"a": 0.1, "b": 0.3}}
    assert "the oracle (0.3) is worse than the degraded oracle (0.2)" in out_of_order(between, False)
    assert out_of_order(values | {"degraded oracle": values["oracle"]}, False) is None
    doubtful = values | {"degraded oracle": {"a": 0.1, "b": 0.45}}  # better by the mean, not on every prompt
    assert out_of_order(doubtful, False) is None
    beyond = values | {"degraded oracle": {"a": 0.9, "b": 0.9}}
    assert "the degraded oracle (0.9) is worse than random scores (0.5)" in out_of_order(beyond, False)
    run(plan(), tmp_path)
    found = results.load(tmp_path)
    wrong = replace(found, metrics=[replace(m, higher_is_better=not m.higher_is_better) for m in found.metrics])
    write_benchmark(wrong, tmp_path)
    table = (tmp_path / "table.md").read_text()
    assert "FAILED" in table
    assert "is no better than random" in table
    assert "FAILED" in (tmp_path / "report.html").read_text()


def test_over_one_prompt_a_metric_is_not_judged_and_the_page_says_so(tmp_path):
    tie = {"oracle": {"a": 1.0}, "random": {"a": 1.0}}
    assert out_of_order(tie, True) is None
    assert "over 2 prompts" in out_of_order({name: found | {"b": 1.0} for name, found in tie.items()}, True)
    run(plan(prompts=PROMPTS[:1], metrics=["roc_auc"]), tmp_path)
    found = results.load(tmp_path)
    tied = replace(found, rows=[replace(row, value=1.0) for row in found.rows])
    board = tables(tied)[0]
    assert "Not judged by controls, for an order beyond doubt needs 2 prompts, not 1: roc_auc ↑." in board.text
    assert dict(board.rows)["*oracle*"] == "1.000 [1.000, 1.000]"
    run(plan(metrics=["roc_auc", "seed_robustness"]), tmp_path)
    judged, asked_again = tables(results.load(tmp_path))[:2]
    assert "Not judged" not in judged.text
    assert "for a control that is asked again gives the same answer: seed_robustness" in asked_again.text


def test_a_page_takes_the_place_of_an_earlier_one_with_its_pictures(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"not of a benchmark")
    for metric, family in (("mask_size", "complexity"), ("roc_auc", "localisation")):
        run(plan(prompts=PROMPTS[:1], metrics=[metric]), tmp_path)
        write_benchmark(results.load(tmp_path), tmp_path)
        assert {file.name for file in tmp_path.glob("*.png")} == {"mine.png", f"analytic-{family}.png"}


def test_what_rounds_to_zero_has_no_sign():
    rows = [Row("analytic", p, 0, method, "mask_size", -1e-5 * n) for p in PROMPTS for n, method in enumerate("ab", 1)]
    made = plan(methods=[{"name": "occlusion", "label": "a"}, {"name": "shapley", "label": "b"}])
    board, compared = tables(results.Results(rows, made.methods, made.metrics, "a"))[:2]
    assert dict(board.rows)["b"] == "0.000 [0.000, 0.000]"
    assert compared.rows[0][1] == "+0.000 [+0.000, +0.000]"


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
    assert "did you mean 'random'" in invoke("bench", "show", out, "--reference", "randon").stderr
    joined = invoke("bench", "merge", out, "--out", tmp_path / "joined")
    assert joined.exit_code == 0, joined.output
    assert (tmp_path / "joined" / "results.csv").read_bytes() == (out / "results.csv").read_bytes()


def test_a_run_whose_methods_all_fail_ends_with_status_1_and_keeps_its_results(bad, tmp_path):
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    given = ["-g", "analytic", "--metrics", "mask_size", "--device", "cpu", "--prompts", tmp_path / "prompts.txt"]
    made = invoke("bench", *given, "-m", "bad", "--out", tmp_path / "out")
    assert made.exit_code == 1, made.output
    assert made.stderr.splitlines()[-1] == (
        "all 2 cells of the methods failed, the first because method 'bad' failed: RuntimeError: a bug of a plugin"
    )
    assert "Leaderboard: analytic" in made.stdout
    assert (tmp_path / "out" / "table.md").is_file()
    assert invoke("bench", "show", tmp_path / "out").exit_code == 0
    some = invoke("bench", *given, "-m", "bad,cross_attention", "--out", tmp_path / "out")
    assert some.exit_code == 0, some.output
    assert some.stdout.splitlines()[-1].startswith("2 of 14 cells failed")


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


def test_a_suite_is_a_plan_that_comes_with_the_package(tmp_path):
    given = ["-g", "analytic", "--metrics", "mask_size", "-m", "occlusion"]
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
    assert cells.Model("analytic", "cpu", "auto", None).load() is cells.Model("analytic", "cpu", "auto", None).load()


def test_an_alarm_at_the_very_end_leaves_no_timer_behind(monkeypatch):
    before, real = signal.getsignal(signal.SIGALRM), signal.setitimer

    def at_the_last_moment(which, seconds, *interval):
        if not seconds:
            signal.raise_signal(signal.SIGALRM)
        return real(which, seconds, *interval)

    monkeypatch.setattr(signal, "setitimer", at_the_last_moment)
    with time_limit(60):
        pass
    with pytest.raises(TagxaiError, match="longer than the limit of 60 s"), time_limit(60):
        signal.raise_signal(signal.SIGALRM)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before


def test_an_error_that_names_what_failed_is_not_told_twice():
    for said, told in (("metric 'a' is bad", "metric 'a' is bad"), ("is bad", "metric 'a' failed: is bad")):
        with pytest.raises(TagxaiError, match=f"^{told}$"), cells.told("metric 'a'", None):
            raise TagxaiError(said)
