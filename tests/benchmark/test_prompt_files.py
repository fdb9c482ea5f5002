"""Lists of captions as they are published: MusicCaps, Clotho, and pairs of a clean and a changed caption.

The rows are invented; layout, quotes, line breaks and spelling of values are those of the published files.
"""

from pathlib import Path

import pytest

from tagxai import TagxaiError
from tagxai.benchmark.plan_options import make_plan, read_options
from tagxai.benchmark.prompts import find_prompts, planned_prompts

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

MUSICCAPS = (
    "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,is_balanced_subset,is_audioset_eval\n"
    """-aAAAAAAAA1,30,40,"/m/01,/m/02","['sad', 'piano']","A slow piano, soft strings.",4,False,True\n"""
    """-bBBBBBBBB2,0,10,/m/03,"['rock']","The singer shouts ""hey"" twice, gentle,pensive,\r\nromantic drums.","""
    "0,True,True\n"
    """-cCCCCCCCC3,30,40,"/m/01,/m/04","['folk', ""child's voice""]",A children’s choir sings in a café.,"""
    "6,True,True\n"
    "-dDDDDDDDD4,70,80,/m/05,['drums'],Someone drums.,6,False,False\n"
)
CLOTHO = (
    "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\r\n"
    'Rain on Roof.wav,A a,B a,C a,"D, with a comma",E a\r\n'
    'café 02.wav,A b,"B says ""stop"".",C b,D b,E b\r\n'
    "x.y.wav,A c,B c,C c,D c,E c\r\n"
    "z.wav,A d,B d,C d,D d,E d\r\n"
    "s.wav,A e,B e,C e,D e,E e\r\n"
    "t.wav,A f,B f,C f,D f,E f\r\n"
)
PAIRS = (
    "original_feature,clean_prompt,corrupted_prompt\n"
    'violin,"A calm piece, with violin.","A calm piece, with trumpet."\n'
    'male,"A man sings, loudly.","A woman sings, loudly."\n'
    "slow,A slow song.,\n"
)


@pytest.fixture
def folder(tmp_path):
    files = {
        "musiccaps-public.csv": MUSICCAPS,
        "clotho_captions_evaluation.csv": CLOTHO,
        "generated_prompts.csv": PAIRS,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return tmp_path


def test_rows_of_musiccaps_are_chosen_by_what_their_columns_say(folder):
    made = planned_prompts(read_options(BENCHMARKS / "musiccaps.toml")["prompts"], folder)
    assert [prompt.text for prompt in made] == [
        'The singer shouts "hey" twice, gentle,pensive, romantic drums.',
        "A children’s choir sings in a café.",
    ]
    assert made[1].columns["aspect_list"] == "['folk', \"child's voice\"]"
    assert made[1].columns["audioset_positive_labels"] == "/m/01,/m/04"
    table = {"file": "musiccaps-public.csv"}
    assert len(find_prompts(table | {"where": {"is_audioset_eval": "TRUE"}}, folder)) == 3
    assert find_prompts(table | {"where": {"author_id": [0, "4"]}}, folder)[0] == "A slow piano, soft strings."
    both = {"author_id": 6, "is_audioset_eval": False}
    assert find_prompts(table | {"where": both}, folder) == ["Someone drums."]


def test_columns_of_clotho_take_turns_from_clip_to_clip(folder):
    made = planned_prompts(read_options(BENCHMARKS / "clotho.toml")["prompts"], folder)
    assert [prompt.text for prompt in made] == ["A a", 'B says "stop".', "C c", "D d", "E e", "A f"]
    assert [prompt.columns for prompt in made[:2]] == [
        {"file_name": "Rain on Roof.wav"},
        {"file_name": "café 02.wav"},
    ]
    one = {"file": "clotho_captions_evaluation.csv", "column": "caption_4", "limit": 1}
    assert find_prompts(one, folder) == ["D, with a comma"]


def test_the_changed_caption_of_a_pair_is_called_changed(folder):
    table = {"file": "generated_prompts.csv", "column": "clean_prompt", "changed": "corrupted_prompt"}
    made = planned_prompts(table, folder)
    assert made[0].columns == {"original_feature": "violin", "changed": "A calm piece, with trumpet."}
    assert made[2].columns["changed"] == ""
    other = folder / "other.csv"
    other.write_text("prompt,changed,swap\nrain falls,yes,wind blows\n")
    (renamed,) = planned_prompts({"file": "other.csv", "changed": "swap"}, folder)
    assert renamed.columns == {"changed (column)": "yes", "changed": "wind blows"}


def test_rows_that_repeat_a_prompt_are_said_to_be_left_out(folder):
    file = folder / "captions.csv"
    file.write_text("caption,category\nrain falls,weather\n a dog  barks,animals\na dog barks,pets\n,none\n")
    with pytest.warns(UserWarning, match=r"1 of 3 prompts of \S+\.csv repeat an earlier row's: a prompt is run"):
        found = planned_prompts({"file": "captions.csv"}, folder)
    assert [(each.text, each.columns["category"]) for each in found] == [
        ("rain falls", "weather"),
        ("a dog barks", "animals"),
    ]


def test_prompts_that_differ_in_white_space_alone_are_one():
    assert find_prompts(["rain  falls", "rain\r\nfalls", " rain falls "]) == ["rain falls"]


@pytest.mark.parametrize("name", ["musiccaps", "clotho", "tada"])
def test_a_plan_of_the_repository_runs_on_the_published_layout(folder, name):
    made = make_plan(read_options(BENCHMARKS / f"{name}.toml"), folder=folder)
    assert made.prompts
    assert made.reference in [method.label for method in made.methods]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"where": {"is_balanced_subset": "yes"}},
            "has 'yes' in the column 'is_balanced_subset'; its first values are",
        ),
        ({"where": {"balanced": True}}, "has no column 'balanced'; its first line has: 'ytid'"),
        ({"where": "is_balanced_subset"}, "where of prompts takes a table of columns and values"),
        ({"where": {"author_id": []}}, "takes text, a number or a list of these for 'author_id', not []"),
        ({"where": {"author_id": 4, "is_audioset_eval": False}}, "no row of"),
        ({"changed": "corrupted"}, "has no column 'corrupted'"),
        ({"changed": 1}, "changed of prompts takes text, not 1"),
        ({"column": []}, "column of prompts takes text, not []"),
        ({"column": ["caption", "captions"]}, "has no column 'captions'"),
        ({"exclude": "clotho_captions_evaluation.csv"}, "exclude of prompts needs one_per"),
        ({"rows": 3}, "no key of prompts named 'rows'"),
    ],
)
def test_a_wrong_choice_of_rows_is_one_sentence(folder, changes, sentence):
    with pytest.raises(TagxaiError, match=r"^[^\n]*$") as error:
        planned_prompts({"file": "musiccaps-public.csv"} | changes, folder)
    assert sentence in str(error.value)


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(folder):
    (folder / "clotho_metadata_evaluation.csv").write_bytes(b"file_name,keywords\na.wav,rain\nb.wav,\xe9cho\n")
    with pytest.raises(TagxaiError, match="line 3: byte 0xe9 is not UTF-8; save the file as UTF-8"):
        find_prompts({"file": "clotho_metadata_evaluation.csv", "column": "keywords"}, folder)
