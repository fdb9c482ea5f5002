"""The run of a paper: captions of one's own with a category, two generators of which one has no attention."""

import csv
import json
import re
import tomllib

import pytest
from bench_helpers import CONTROLS, invoke, plan
from latex_reader import read_tables
from registered import register_generator
from tagxai_analytic.generator import AnalyticGenerator

from tagxai.benchmark import results
from tagxai.benchmark.paper.bibliography import known, references
from tagxai.benchmark.running import run
from tagxai.registering.registry import BUILT_IN, registry
from tagxai.report.strata_tables import strata_tables

CAPTIONS = {
    "animal": ["a dog barks", "a dog barks twice", "a dog barks loudly", "a dog barks and a bird sings"],
    "weather": ["rain falls", "rain falls softly", "rain falls and thunder rolls", "wind blows"],
    "other": ["a siren wails", "a bell rings", "a dog barks while rain falls", "music plays, 50 % louder"],
}
METHODS = ["cross_attention", "occlusion(operator=delete)", "shapley(operator=delete)"]
METRICS = ["mask_size", "hit_at_1", "roc_auc", "gini"]


class Deaf(AnalyticGenerator):
    """A model without attention, about whose clips nothing is known."""

    name = "deaf"
    offers = frozenset({"causal"})


@pytest.fixture(scope="module")
def deaf():
    with pytest.MonkeyPatch.context() as monkeypatch:
        register_generator(monkeypatch, "deaf", Deaf)
        yield


@pytest.fixture(scope="module")
def made(deaf, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("paper")
    rows = [f'"{caption}",{category}\n' for category, captions in CAPTIONS.items() for caption in captions]
    (tmp_path / "captions.csv").write_text("caption,category\n" + "".join(rows))
    given = ["-g", "analytic,deaf", "-m", ",".join(METHODS), "--metrics", ",".join(METRICS), "--device", "cpu"]
    out = tmp_path / "out"
    done = invoke("bench", *given, "-p", tmp_path / "captions.csv", "--by", "category", "--out", out)
    assert done.exit_code == 0, done.output
    return done, out


def rows_of(file):
    return list(csv.DictReader(file.read_text().splitlines()))


def test_nothing_that_was_asked_for_disappears_and_nothing_is_called_failed(made):
    done, out = made
    cells = rows_of(out / "results.csv")
    assert len(cells) == 2 * 12 * (len(CONTROLS) + len(METHODS)) * len(METRICS)
    assert {row["status"] for row in cells} == {"value", "not applicable"}
    for row in cells:
        assert bool(row["value"]) == (row["status"] == "value")
        assert bool(row["why"]) != bool(row["value"])
    deaf = {(row["method"], row["metric"]): row for row in cells if row["generator"] == "deaf"}
    assert "needs attention, which generator 'deaf' does not offer" in deaf["cross_attention", "gini"]["why"]
    assert "metric 'hit_at_1' needs truth" in deaf[METHODS[1], "hit_at_1"]["why"]
    assert deaf[METHODS[1], "gini"]["status"] == "value"
    said = "metric 'hit_at_1' needs truth, which generator 'deaf' does not offer"
    assert said in done.stdout
    assert said in (out / "table.md").read_text()
    board = {(row["generator"], row["metric"], row["method"]): row for row in rows_of(out / "leaderboard.csv")}
    assert len(board) == 2 * (len(CONTROLS) + len(METHODS)) * len(METRICS)
    assert board["deaf", "hit_at_1", METHODS[2]]["not_applicable"] == "12"
    assert board["analytic", "gini", METHODS[2]]["n"] == "12"


def test_a_reason_that_names_the_prompt_is_one_row_for_all_prompts(made):
    done, out = made
    unknown = "which generator 'analytic' does not know for"
    cells = [row for row in rows_of(out / "results.csv") if unknown in row["why"] and row["metric"] == "hit_at_1"]
    assert len({row["prompt"] for row in cells}) == 2
    rows = [line for line in (out / "table.md").read_text().splitlines() if unknown in line and "'hit_at_1'" in line]
    assert len(rows) == 1
    assert "(and so for 1 other prompt)" in rows[0]
    assert rows[0].rstrip(" |").endswith(str(len(cells)))
    assert done.stdout.count("does not know for") == 2  # of two metrics


def test_categories_are_carried_through_and_are_strata(made):
    done, out = made
    assert {row["category"] for row in rows_of(out / "results.csv")} == set(CAPTIONS)
    assert "gini ↑ on analytic by category" in done.stdout
    found = results.load(out)
    animals = found.of_prompts(set(CAPTIONS["animal"]))
    (board,) = [board for board in animals.boards if (board.generator, board.metric) == ("analytic", "gini")]
    values = [c.value for c in animals.cells if (c.generator, c.metric, c.method) == ("analytic", "gini", METHODS[2])]
    assert board.entry(METHODS[2]).interval.mean == pytest.approx(sum(values) / 4)
    assert board.entry(METHODS[2]).prompts == 4
    wrong = invoke("bench", "show", out, "--by", "categories")
    assert wrong.exit_code == 2
    assert "did you mean 'category'" in wrong.stderr


def test_a_stratum_without_any_value_says_what_became_of_it(tmp_path):
    prompts = [{"prompt": "a dog barks", "kind": "known"}, {"prompt": "music plays", "kind": "unknown"}]
    run(plan(prompts=prompts, metrics=["roc_auc"]), tmp_path)
    (table,) = strata_tables(results.load(tmp_path), "kind")
    assert table.header == ["method", "known", "unknown"]
    assert {row[2] for row in table.rows} == {"not applicable"}


def test_the_command_that_it_states_repeats_it_byte_for_byte(made, tmp_path):
    done, out = made
    (stated,) = re.findall(r"repeat it: tagxai (bench .*) --out NEW", done.stdout)
    again = invoke(*stated.split(), "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    for name in ("results.csv", "leaderboard.csv", "pairs.csv", "leaderboard.tex", "references.bib", "plan.toml"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes(), name
    plan = tomllib.loads((out / "plan.toml").read_text())
    assert plan["prompts"][0] == {"prompt": "a dog barks", "category": "animal"}


def test_its_tables_are_latex_and_its_references_bibtex(made):
    _, out = made
    text = (out / "leaderboard.tex").read_text()
    assert "% in no table, as no method has a value on deaf: hit_at_1, roc_auc\n" in text
    tables = read_tables(text)
    assert len(tables) == 3  # localisation and complexity of one generator, complexity of the other
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    for table in tables:
        in_columns = ["n=" in head for head in table.rows[0][1:]]
        assert all(counted or "n=" in cell for counted, cell in zip(in_columns, table.rows[-1][1:], strict=True))
    bib = (out / "references.bib").read_text()
    for key in ("bahdanau2015attention", "shapley1953value", "zeiler2014visualizing", "hurley2009sparsity", "tagxai"):
        assert f"{{{key}," in bib
    assert "keywords" not in bib
    assert bib.count("{") == bib.count("}")


def test_its_tables_can_be_chosen_sorted_and_printed_in_other_forms(made):
    _, out = made
    shown = invoke("bench", "show", out, "--metrics", "gini", "--sort", "gini", "--csv")
    rows = list(csv.DictReader(shown.stdout.splitlines()))
    assert {row["metric"] for row in rows} == {"gini"}
    means = [float(row["mean"]) for row in rows if row["generator"] == "analytic"]
    assert means == sorted(means, reverse=True)
    assert json.loads(invoke("bench", "show", out, "--json").stdout)["counts"]["failed"] == 0
    assert invoke("bench", "show", out, "--bibtex").stdout == (out / "references.bib").read_text()
    assert invoke("bench", "show", out, "--latex").stdout == (out / "leaderboard.tex").read_text()
    both = invoke("bench", "show", out, "--latex", "--csv")
    assert both.exit_code == 2
    assert "give one of --csv and --latex" in both.stderr
    ignored = invoke("bench", "show", out, "--csv", "--by", "category")
    assert ignored.exit_code == 2
    assert "--by category adds tables to those of the terminal, and --csv prints none of them" in ignored.stderr


def test_every_method_and_metric_has_a_reference():
    for kind in ("method", "metric"):
        names = {entry.name for entry in getattr(registry(), f"{kind}s").values() if entry.origin == BUILT_IN}
        own = {f"{kind}:{name}" for name in names if not name.startswith("captum:")}
        assert own <= known(), own - known()
    assert len(references({"method:captum:KernelShap"})) == 1
