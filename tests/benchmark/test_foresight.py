"""What a benchmark says before it begins, and what becomes of cells that have no value."""

import itertools
import re

import pytest
from bench_helpers import CONTROLS, PROMPTS, invoke, plan
from registered import register_generator, register_method
from tagxai_analytic.generator import AnalyticGenerator

from tagxai import TagxaiError
from tagxai.benchmark import results
from tagxai.benchmark.cells import Job
from tagxai.benchmark.clip_spec import ClipSpec
from tagxai.benchmark.foresight import forecast, foreseeing, trial
from tagxai.benchmark.foresight.prompts_needed import least_p, prompts_needed
from tagxai.benchmark.foresight.schedule import makespan
from tagxai.benchmark.models import ModelSpec
from tagxai.benchmark.running import run
from tagxai.benchmark.statistics import holm
from tagxai.errors import NotApplicableError
from tagxai.methods.random import Random

GIVEN = ["-g", "analytic", "-m", "cross_attention", "--metrics", "mask_size", "--device", "cpu"]

METHODS = (["occlusion"], ["occlusion", "cross_attention", "shapley"])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(PROMPTS))
    return path


def test_a_bare_bench_explains_itself_and_starts_nothing(tmp_path):
    said = invoke("bench", "--out", tmp_path / "out")
    assert said.exit_code == 0
    assert "Nothing was started" in said.stdout
    assert "tagxai bench plan" in said.stdout
    (helping,) = re.findall("tagxai (.*) lists all options", said.stdout)
    assert "--time-limit" in invoke(*helping.split()).stdout
    assert not (tmp_path / "out").exists()


def test_a_plan_says_what_a_run_will_do_and_keeps_nothing(file, tmp_path):
    said = invoke("bench", "plan", *GIVEN, "-m", "cross_attention,occlusion", "-p", file)
    assert said.exit_code == 0, said.output
    cells = len(PROMPTS) * (len(CONTROLS) + 2)
    assert f"2 methods and 5 controls x 1 metric: {cells} cells" in said.stdout
    assert "2 prompts: a paired sign-flip test cannot be under p = 0.5" in said.stdout
    assert "6 prompts are needed" in said.stdout
    assert "time: about" in said.stdout
    assert "memory:" in said.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.txt"]


def test_every_cell_that_does_not_apply_has_its_reason_and_only_methods_that_run_are_compared(tmp_path, monkeypatch):
    class Deaf(AnalyticGenerator):
        name = "deaf"
        offers = frozenset({"causal"})

    register_generator(monkeypatch, "deaf", Deaf)
    methods = ["occlusion(operator=delete)", "cross_attention"]
    with foreseeing.opened(plan(generators=["deaf"], methods=methods, metrics=["mask_size"]), tmp_path) as opened:
        said = foreseeing.before_running(opened).sentences()
    reasons = said[said.index("6 more cells are not applicable:") + 1 :][:3]
    assert [reason.split(" needs ")[0].strip() for reason in reasons] == [
        "method 'oracle'",
        "method 'degraded oracle'",
        "method 'cross_attention'",
    ]
    assert "no two methods can be compared" in said[-2]


def test_what_only_a_trial_can_tell_not_to_apply_is_said_with_its_reason(file, monkeypatch):
    class Shy(Random):
        name = "shy"

        def explain(self, run):
            raise NotApplicableError("its layers are of another kind")

    register_method(monkeypatch, "shy", Shy)
    said = invoke("bench", "plan", *GIVEN, "-m", "cross_attention,shy", "-p", file).stdout.splitlines()
    place = said.index("on the clips of the trial:")
    assert "'shy'" in said[place + 1]
    assert "its layers are of another kind" in said[place + 1]
    assert said[place + 2].startswith("time: ")


def test_a_run_over_an_hour_needs_yes(file, tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "HOUR", 0.0)
    refused = invoke("bench", *GIVEN, "-p", file, "-o", tmp_path / "out")
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1].startswith("a run that may take over an hour needs --yes")
    made = invoke("bench", *GIVEN, "-p", file, "-o", tmp_path / "out", "--yes")
    assert made.exit_code == 0, made.output
    assert "time: about" not in made.stderr


def test_what_a_trial_stops_has_not_failed(tmp_path, monkeypatch):
    class Slow(Random):
        name = "slow"

        def explain(self, run):
            for _ in range(600):
                __import__("time").sleep(0.01)
            return super().explain(run)

    register_method(monkeypatch, "slow", Slow)
    monkeypatch.setattr(trial, "PATIENCE", 1.0)
    with foreseeing.opened(plan(methods=["slow"], metrics=["mask_size"]), tmp_path) as opened:
        (kind,) = trial.kinds_of(opened.jobs())
        assert isinstance(kind, Job)
        assert len(kind.clips) == len(PROMPTS)
        (tried,) = trial.try_out(trial.TrialTask((kind,), 1.0)).tried
        assert not tried.complete
        cells = [opened.store.read_cell(clip.cell(m, metric)) for clip, m, metric in opened.planned.cells()]
        assert not any(cell.error for cell in cells if cell is not None)
        assert sum(cell is None for cell in cells) >= len(PROMPTS)


def test_a_forecast_adds_up_what_jobs_take():
    job = Job("", ModelSpec("a", "cpu", "auto", None), ((ClipSpec("a", {}, "rain", 0, None, {}), ()),) * 4, None)
    timings = (trial.Timing(1, 9.0), trial.Timing(1, 3.0), trial.Timing(2, 4.0))  # 2 s a batch, 1 s a clip
    made = trial.Trial((trial.Tried(timings, True, 4),), 0)
    two = forecast.forecast([job, job, job], [job], made, workers=2, start_seconds=1.0)
    assert two.seconds == 1.0 + makespan([6.0, 6.0, 6.0], [0.0, 1.0]) + 6.0  # and what the first clip has loaded
    assert not two.over_an_hour


def test_the_number_of_prompts_is_where_the_clearest_test_becomes_significant():
    for tests in (1, 3, 10, 351):
        needed = prompts_needed(tests)
        others = [1.0] * (tests - 1)
        assert holm([least_p(needed), *others])[0] <= 0.05 < holm([least_p(needed - 1), *others])[0]


def test_a_truth_of_too_few_prompts_is_said_before_the_run():
    known = "tiny: the truth can be known for 5 of 12 prompts"
    coverage = foreseeing.Coverage("tiny", 5, 12)
    assert coverage.sentence(prompts_needed(3)) == f"{known}: too few to compare methods by it, 7 are needed"
    assert coverage.sentence(5) == known
    one, several = (
        foreseeing.Foresight(plan(methods=m), 2, 9, 0, 0, [], [coverage], pairs)
        for m, pairs in zip(METHODS, (0, 3), strict=True)
    )
    assert known in one.sentences()
    assert f"{known}: too few to compare methods by it, 7 are needed" in several.sentences()


def test_jobs_end_as_in_the_best_of_no_order_at_all():
    jobs = [3.0, 1.0, 2.0, 2.0]
    free, end = [0.0, 0.5], 0.0
    for job in jobs:
        worker = min(range(2), key=free.__getitem__)
        free[worker] += job
        end = max(end, free[worker])
    assert makespan(jobs, [0.0, 0.5]) == end
    assert min(makespan(order, [0.0, 0.5]) for order in itertools.permutations(jobs)) <= end


def test_not_applicable_missing_and_failed_are_three_things(tmp_path, monkeypatch):
    few = plan(prompts=["rain", *PROMPTS], metrics=["share_of_optimum", "mask_size"])

    def stop(opened):
        raise TagxaiError("not now")

    with pytest.raises(TagxaiError, match="not now"):
        run(few, tmp_path, on_open=stop)
    shown = invoke("bench", "show", tmp_path)
    assert shown.exit_code == 3
    assert "36 are missing" in shown.stdout
    run(few, tmp_path)
    found = results.load(tmp_path)
    assert found.counts["not applicable"] == len(CONTROLS) + 1  # one word has no best order
    assert found.counts["failed"] == found.counts["missing"] == 0
    assert invoke("bench", "show", tmp_path).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/*.json")}
    run(few, tmp_path, retry_failed=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/*.json")} == before
