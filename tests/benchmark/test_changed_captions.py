"""A benchmark of pairs: a clean caption and a changed one beside it."""

import csv
import re

import pytest
from bench_helpers import CONTROLS, invoke, plan

from tagxai.benchmark.planned_run import PlannedRun

PAIRS = """clean,changed,kind
"a bell, with rain","a bell, with fog",sound
rain and thunder,fog and thunder,sound
a dog barks with rain,,none
"""
METHODS = ["occlusion(operator=delete)", "cross_attention(heads=0)"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "pairs.csv").write_text(PAIRS)
    given = [
        "-g",
        "analytic",
        "-m",
        ",".join(METHODS),
        "--metrics",
        "changed_share,changed_time,gini",
        "--device",
        "cpu",
    ]
    out = folder / "out"
    done = invoke(
        "bench", *given, "-p", folder / "pairs.csv", "--column", "clean", "--by", "kind", "--yes", "--out", out
    )
    assert done.exit_code == 0, done.output
    return done, out


def test_each_prompt_is_measured_with_its_own_changed_caption(made):
    _, out = made
    cells = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert len(cells) == 3 * (len(CONTROLS) + len(METHODS)) * 3
    assert {(row["prompt"], row["changed"]) for row in cells} == {
        ("a bell, with rain", "a bell, with fog"),
        ("rain and thunder", "fog and thunder"),
        ("a dog barks with rain", ""),
    }
    of = {(row["prompt"], row["method"], row["metric"]): row for row in cells}
    for prompt in ("a bell, with rain", "rain and thunder"):
        assert float(of[prompt, METHODS[1], "changed_share"]["value"]) == pytest.approx(0.0)
    without = of["a dog barks with rain", METHODS[0], "changed_share"]
    assert without["status"] == "not applicable"
    assert "needs a changed caption of 'a dog barks with rain'" in without["why"]
    assert of["a dog barks with rain", METHODS[0], "gini"]["status"] == "value"


def test_the_stated_command_repeats_pairs_byte_for_byte(made, tmp_path):
    done, out = made
    (stated,) = re.findall(r"repeat it: tagxai (bench .*) --out NEW", done.stdout)
    again = invoke(*stated.split(), "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    for name in ("results.csv", "leaderboard.csv", "plan.toml"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes(), name


def keys(made):
    """The cells of a plan, by prompt and metric."""
    found = {"analytic": {"identity": {"weights": 1}, "offers": ["attention", "truth", "causal"], "max_duration": 9}}
    run = PlannedRun(made, found, {})
    return {(clip.prompt, metric.label): clip.cell(method, metric) for clip, method, metric in run.cells()}


def test_another_changed_caption_is_another_cell_and_nothing_else_changes():
    metrics = ["changed_time", "gini"]
    first = [{"prompt": "a bell with rain", "changed": "a bell with fog"}, "rain falls"]
    second = [{"prompt": "a bell with rain", "changed": "a dog with rain"}, "rain falls"]
    before, after = (keys(plan(prompts=prompts, metrics=metrics)) for prompts in (first, second))
    different = {cell for cell in before if before[cell] != after[cell]}
    assert different == {("a bell with rain", "changed_time")}
    own = keys(plan(prompts=second, metrics=["changed_time(changed=a bell with fog)"]))
    assert (
        own["a bell with rain", "changed_time(changed=a bell with fog)"] == before["a bell with rain", "changed_time"]
    )


def test_all_metrics_has_those_of_pairs_only_where_there_are_pairs():
    names = {metric.name for metric in plan(metrics="all").metrics}
    pairs = {metric.name for metric in plan(metrics="all", prompts=[{"prompt": "rain", "changed": "wind"}]).metrics}
    assert pairs - names == {"changed_share", "changed_time"}
    assert names < pairs
