"""A folder with unexpected contents is reported as such, and not as damaged or missing."""

import pytest
from cli_helpers import run

from tagxai.explaining.editing import Edit, Take
from tagxai.testing import random_checkpoint


@pytest.fixture
def edited(generation, tmp_path):
    Edit({"dog": 0.5}, (1.0,) * len(generation.tokens), (Take(generation, generation),)).save(tmp_path / "edit")
    return tmp_path / "edit"


@pytest.mark.parametrize(
    "command", [["show"], ["show", "--by", "token"], ["ask"], ["effects"], ["evaluate"], ["export", "--to", "csv"]]
)
def test_an_edit_is_called_one_where_an_explanation_was_expected(command, edited):
    said = run(*command, edited)
    assert said.exit_code == 2
    assert said.stderr == f"{edited} holds an edit; expected the folder of one explanation or comparison\n"


def test_a_list_of_clips_is_called_one(tmp_path):
    (tmp_path / "index.csv").write_text("line,prompt,seed,clip,error\n")
    said = run("show", tmp_path)
    assert f"{tmp_path} holds clips of `tagxai generate`; expected the folder of" in said.stderr


def test_a_file_of_a_folder_is_answered_with_its_folder(generation, tmp_path):
    (tmp_path / "report.html").touch()
    said = run("show", tmp_path / "report.html")
    assert said.stderr == f"{tmp_path / 'report.html'} is a file; give the folder that holds it, {tmp_path}\n"


def test_a_model_folder_without_a_generator_is_answered_with_the_one_that_reads_it(tmp_path):
    model = random_checkpoint(tmp_path / "model")
    said = run("explain", "a dog barks", "--generator", model)
    assert said.exit_code == 2
    assert said.stderr == (
        f"folder '{model}' needs the name of the generator that reads it, as NAME:{model}; "
        "it holds a MusicgenForConditionalGeneration; the generator 'musicgen' reads it\n"
    )


def test_a_folder_that_is_no_model_is_not_called_one(tmp_path):
    said = run("explain", "a dog barks", "--generator", tmp_path)
    assert said.stderr.endswith(f"as NAME:{tmp_path}; it is empty\n")
    (tmp_path / "notes.txt").touch()
    assert run("explain", "a dog barks", "--generator", tmp_path).stderr.endswith(f"as NAME:{tmp_path}\n")
