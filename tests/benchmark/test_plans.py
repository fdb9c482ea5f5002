"""What users may write in a plan, and what is said where they may not."""

import json
from pathlib import Path

import pytest
from bench_helpers import PROMPTS, csv_of, plan

from tagxai import TagxaiError
from tagxai.benchmark.plan_options import find_suite, make_plan, read_options
from tagxai.benchmark.planned_run import PlannedRun
from tagxai.benchmark.prompts import find_prompts
from tagxai.benchmark.running import check, run


def test_a_setting_that_is_a_table_reaches_the_metric(tmp_path):
    given = {"rain falls": "it rains and rain falls"}
    made = plan(metrics=[{"name": "paraphrase_robustness", "given": given}], prompts=["rain falls"])
    assert made.metrics[0].metric().given == given
    run(made, tmp_path)
    assert csv_of(tmp_path)


def test_prompts_of_the_laboratory_have_their_form_as_a_column():
    from tagxai.laboratory.language.streams import prompts

    made = plan(prompts="laboratory:test:12")
    composed = {each.text: each for each in prompts("test", 12)}
    assert made.columns["form"] == {text: each.form for text, each in composed.items()}
    assert {text for text, value in made.columns["denied"].items() if value == "yes"} == {
        text for text, each in composed.items() if each.scene.absent is not None
    }


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
    alone = PlannedRun(
        plan(generators=list(found), metrics=["roc_auc"]), found, {}
    )  # one for the method, one for the metric
    with pytest.raises(TagxaiError, match="analytic, analytic:linear works with both a method and a metric"):
        check(alone)


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
        ({"prompts": []}, "holds no prompt"),
        ({"device": "gpu"}, "no device named 'gpu'"),
        ({"reference": 3}, "reference takes the name of a method, not 3"),
        ({"methods": ["random"]}, "'random' is a control"),
        ({"methods": [{"name": "occlusion", "label": "oracle"}]}, "'oracle' is a control"),
        ({"prompts": {"file": "a.csv", "column": 3}}, "column of prompts takes text, not 3"),
        ({"prompts": {"file": "laboratory:test:3", "limit": 2}}, "'laboratory:test:3' is not a file"),
        ({"prompts": {"file": "a.csv", "limit": 0}}, "a whole number from 1, not 0"),
        ({"prompts": {"file": "missing.csv"}}, "file 'missing.csv' does not exist"),
        ({"prompts": "laboratory:test:99999999999"}, "of at most 100000"),
        ({"threads": 10**11}, "threads takes at most 4096"),
        ({"executor": "procesess"}, "did you mean 'processes'"),
        ({"workers": 0}, "workers takes at least 1, not 0"),
        ({"duration": 10**400}, "duration has a number of more than 300 digits"),
        ({"time_limit": 1e300}, "time_limit takes at most 1e+09, not 1e+300"),
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
    with pytest.warns(UserWarning, match="1 of 4 prompts"):
        assert find_prompts({"file": "test.csv", "column": "youtube_id"}, tmp_path) == ["a", "b", "c"]
    with pytest.raises(TagxaiError, match="no column 'clip'"):
        find_prompts({"file": "test.csv", "one_per": "clip"}, tmp_path)


def test_a_folder_and_a_number_of_thousands_of_digits_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "plan.toml").write_text("seeds = [" + "9" * 5000 + "]")
    with pytest.raises(TagxaiError, match=r"a plan is a TOML file, such as '.*plan\.toml', not a folder"):
        read_options(tmp_path)
    with pytest.raises(TagxaiError, match=r"plan\.toml is not TOML"):
        read_options(tmp_path / "plan.toml")


def test_a_limit_counts_different_prompts_that_say_something(tmp_path):
    (tmp_path / "a.csv").write_text("clip,caption\na,\na,x\nb,x\nc,y\n")
    for chosen in ({}, {"one_per": "clip"}):
        with pytest.warns(UserWarning, match="1 of 3 prompts"):
            assert find_prompts({"file": "a.csv", "limit": 2, **chosen}, tmp_path) == ["x", "y"]


AUDIOCAPS = Path(__file__).parents[2] / "benchmarks" / "audiocaps.toml"


@pytest.mark.parametrize("file", [AUDIOCAPS, find_suite("tiny")])
def test_the_plans_of_the_repository_are_read(file):
    content = read_options(file)
    made = make_plan(content | {"prompts": PROMPTS})
    assert made.reference in [part.label for part in made.methods]
