"""Statistics against slow restatements, and the tables that tell them."""

import itertools
from dataclasses import replace

import pytest
import torch
from bench_helpers import PROMPTS, plan

from tagxai.benchmark import results
from tagxai.benchmark.control_order import out_of_order
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.running import run
from tagxai.benchmark.statistics import compare, holm, sign_flip
from tagxai.report.benchmark import write_benchmark
from tagxai.report.benchmark_tables import tables


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
    assert found["better"].interval == (pytest.approx(0.1), None, None)
    assert found["better"].delta == 1.0


def test_a_mean_over_fewer_prompts_says_so():
    rows = [Measurement("analytic", prompt, 0, "long", "mask_size", 0.5) for prompt in PROMPTS]
    rows += [Measurement("analytic", PROMPTS[0], 0, "short", "mask_size", 0.25)]
    made = plan(methods=[{"name": "occlusion", "label": "long"}, {"name": "shapley", "label": "short"}])
    board = tables(results.Results(rows, made.methods, made.metrics, "long"))[0]
    assert dict(board.rows) == {"long": "0.500 (n=2)", "short": "0.250 (n=1)"}
    lost = [Measurement("analytic", PROMPTS[1], 0, "short", "mask_size", error="too long")]
    board = tables(results.Results(rows + lost, made.methods, made.metrics, "long"))[0]
    assert dict(board.rows)["short"] == "0.250 (n=1, 1 failed)"


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
    many = {"oracle": 0.2, "degraded oracle": 0.9, "random": 0.5}  # not on every prompt, but clearly
    spread = {name: {str(n): mean + 0.07 * (n % 12) for n in range(60)} for name, mean in many.items()}
    spread["degraded oracle"]["0"] = 0.0
    assert "is worse than random scores" in out_of_order(spread, False)
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
    tied = replace(found, cells=[replace(cell, value=1.0) for cell in found.cells])
    board = tables(tied)[0]
    assert "Not judged by controls, because a reliable order needs 2 prompts, not 1: roc_auc ↑." in board.text
    assert dict(board.rows)["*oracle*"] == "1.000 (n=1)"
    run(plan(metrics=["roc_auc", "seed_robustness"]), tmp_path)
    judged, asked_again = tables(results.load(tmp_path))[:2]
    assert "Not judged" not in judged.text
    assert "because a control that is asked again gives the same answer: seed_robustness" in asked_again.text


def test_a_page_takes_the_place_of_an_earlier_one_with_its_pictures(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"not of a benchmark")
    for metric, family in (("mask_size", "complexity"), ("roc_auc", "localisation")):
        run(plan(prompts=PROMPTS[:1], metrics=[metric]), tmp_path, force=True)  # beside mine.png
        write_benchmark(results.load(tmp_path), tmp_path)
        assert {file.name for file in tmp_path.glob("*.png")} == {"mine.png", f"analytic-{family}.png"}


def test_what_rounds_to_zero_has_no_sign():
    rows = [
        Measurement("analytic", p, 0, method, "mask_size", -1e-5 * n)
        for p in PROMPTS
        for n, method in enumerate("ab", 1)
    ]
    made = plan(methods=[{"name": "occlusion", "label": "a"}, {"name": "shapley", "label": "b"}])
    board, compared = tables(results.Results(rows, made.methods, made.metrics, "a"))[:2]
    assert dict(board.rows)["b"] == "0.000 (n=2)"
    assert {row[0]: row[3] for row in compared.rows} == {"a": "–", "b": "+0.000"}
