"""`tagxai export`, `open` and `edit`, as their users meet them."""

import json
import webbrowser

import pytest
from typer.testing import CliRunner

from tagxai.cli import app
from tagxai.cli.edit import parse_gains
from tagxai.cli.export import FILES
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


@pytest.fixture
def folder(explanation, tmp_path):
    return Explanation(explanation).save(tmp_path / "out")


def test_every_format_is_written_beside_the_explanation(explanation, folder):
    import pandas

    for to, name in FILES.items():
        result = run("export", folder, "--to", to, "--by", "phrase")
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(folder / name)
    assert (folder / "scores.csv").read_text() == explanation.to_csv(by="phrase")
    assert (folder / "labels.TextGrid").read_text() == explanation.to_labels("textgrid", by="phrase")
    pandas.testing.assert_frame_equal(pandas.read_parquet(folder / "scores.parquet"), explanation.to_pandas("phrase"))
    content = json.loads((folder / "scores.json").read_text())
    assert [unit["text"] for unit in content["units"]] == [unit.text for unit in explanation.phrases()]
    assert Explanation.load(folder)  # as before


def test_a_comparison_is_exported_by_method(explanation, tmp_path):
    folder = Comparison({"a": Explanation(explanation), "b": Explanation(explanation)}).save(tmp_path / "out")
    assert run("export", folder, "--to", "csv").stdout.split() == [str(folder / m / "scores.csv") for m in "ab"]
    refused = run("export", folder, "--to", "csv", "--out", tmp_path / "x.csv")
    assert refused.exit_code == 2
    assert "choose one with --method: a, b" in refused.output
    assert run("export", folder, "--to", "csv", "-m", "b", "--out", tmp_path / "x.csv").exit_code == 0
    assert (tmp_path / "x.csv").is_file()


def test_open_shows_the_page_and_tells_where_there_is_none(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    missing = run("open", folder)
    assert missing.exit_code == 2
    assert "report.html is missing" in missing.output.replace("\n", "")
    assert run("report", folder).exit_code == 0
    assert run("open", folder).exit_code == 0
    assert opened == [(folder / "report.html").as_uri()]


def test_an_edit_is_made_from_the_command_line_and_reported_again(random_model, tmp_path):
    out = tmp_path / "edit"
    arguments = ["a dog barks", "--gain", "dog=0", "-g", f"musicgen:{random_model}", "-d", "0.2", "--out", out]
    result = run("edit", *arguments, "--repeats", 2)
    assert result.exit_code == 0, result.output
    assert "dB" in result.stdout
    page = (out / "report.html").read_bytes()
    assert run("report", out).exit_code == 0
    assert (out / "report.html").read_bytes() == page
    quiet = run("edit", *arguments, "-q")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert not (out / "edited-1.flac").exists()  # of the earlier edit
    wrong = run("edit", "a dog barks", "--gain", "cat=0", *arguments[3:])
    assert wrong.exit_code == 2
    assert "no word or phrase of the prompt named 'cat'" in wrong.output.replace("\n", " ")


@pytest.mark.parametrize("texts", [["dog"], ["=1"], ["dog=loud"], ["dog=1", "dog=2"]])
def test_gains_that_are_none_are_told(texts):
    with pytest.raises(TagxaiError, match="--gain"):
        parse_gains(texts)
