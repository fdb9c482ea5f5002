"""The tables of benchmarks/laboratory.py, from records whose figures are known."""

from math import ceil

import pytest
from laboratory_tables import POWER, by_stratum, clips_needed, column, cost, lacking, needed_now, report, single_words

METRICS = ("hit@1", "MRR", "pointing game", "mass accuracy", "rank accuracy", "average precision")


def answer(precision, **more):
    figures = dict.fromkeys(METRICS, precision)
    cells = dict.fromkeys(METRICS[2:], precision + 0.05)
    return {
        "seconds": 2.0,
        "generate_seconds": 4.0,
        "figures": {"event": figures},
        "three_valued": {"event": cells},
        "importance": {"present": 0.9, "filler": 0.1},
        **more,
    }


@pytest.fixture
def records():
    """Ten clips: "good" has 0.8 and 0.9 in turn, and "bad" 0.2 less in the first of each pair, 0.3 in the second."""
    made = []
    for number in range(10):
        good, bad = 0.8 + 0.1 * (number % 2), 0.6
        twin = {"strict": 0.7, "three-valued": 0.75, "in the clip": 0.5, "in the twin": 0.1 * (number % 2)}
        made.append(
            {
                "strata": ["single", "gappy"] if number % 2 else ["while"],
                "single_words": ["necessary", "idle"],
                "methods": {
                    "good": answer(
                        good,
                        twin=twin,
                        now={"event": {"average precision": 0.4}},
                        single_words={"necessary": [1.6], "idle": [0.4]},
                    ),
                    "bad": answer(bad),
                    "oracle": answer(1.0),
                    "degraded oracle": answer(0.75),
                },
            }
        )
    return made


def row_of(lines, name):
    (row,) = (line for line in lines if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_column_is_one_figure_of_every_clip_that_has_it(records):
    assert column(records, "good", "twin", "in the twin") == pytest.approx([0.0, 0.1] * 5)
    assert column(records, "bad", "twin", "in the twin") == []
    assert cost(records, "good") == "0.50"
    assert cost(records, "oracle") == "-"


def test_strata_have_their_own_means_and_counts(records):
    strict, three = (chunk.splitlines() for chunk in "\n".join(by_stratum(records, ["good"])).split("### ")[1:])
    assert strict[2].split("|")[2:5] == [" single (5) ", " while (5) ", " gappy (5) "]
    assert [cell.split()[0] for cell in row_of(strict, "good")[1:]] == ["0.90", "0.80", "0.90"]
    assert [cell.split()[0] for cell in row_of(three, "good")[1:]] == ["0.95", "0.85", "0.95"]


def test_twins_are_compared_clip_by_clip(records):
    lines = lacking(records, ["good", "bad"], "twin", "Twins")
    assert lines[0] == "### Twins (10 clips)"
    assert [cell.split()[0] for cell in row_of(lines, "good")[1:]] == [
        "0.850",
        "0.700",
        "0.750",
        "0.50",
        "0.05",
        "0.45",
    ]
    assert not any(line.startswith("| bad |") for line in lines)  # it was not asked
    assert lacking(records, ["bad"], "ignored", "Ignored") == []


def test_the_two_questions_are_asked_of_the_same_clips(records):
    for record in records[:4]:
        record["methods"]["good"]["now"] = {}
        record["methods"]["good"]["figures"]["event"]["average precision"] = 0.0
    row = row_of(needed_now(records, ["good"]), "good")
    assert [cell.split()[0] for cell in row[1:]] == ["0.850", "0.400"]


def test_single_words_are_counted_by_role(records):
    lines = single_words(records, ["good"])
    assert lines[2] == "| method | necessary (10 words) | redundant (0 words) | idle (10 words) |"
    assert row_of(lines, "good") == ["good", "1.60", "-", "0.40"]


def test_clips_needed_follow_from_the_spread_of_paired_differences(records):
    """The differences are 0.2 and 0.3 in turn: their standard deviation is 0.05 times sqrt(10 / 9)."""
    row = row_of(clips_needed(records, ["good", "bad"], "good"), "bad")
    spread = 0.05 * (10 / 9) ** 0.5
    assert row[1] == f"{spread:.3f}"
    assert row[2:] == [str(max(2, ceil((POWER * spread / gap) ** 2))) for gap in (0.02, 0.03, 0.05, 0.10)]


def test_a_clip_without_confirmed_words_is_counted_and_left_out(records):
    kept = {str(i): record for i, record in enumerate(records)}
    kept["nothing"] = {"methods": {"good": None, "bad": None, "oracle": None, "degraded oracle": None}}
    text = report(kept, ["good", "bad"], "bad", strata=True)
    assert text.startswith("10 clips with confirmed words, of 11.")
    for title in (
        "Words of kind: event (10 clips)",
        "difference to bad, paired",
        "by stratum",
        "Twin test",
        "claim needs",
    ):
        assert title in text
    assert "ignored" not in text
