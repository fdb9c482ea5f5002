"""`tagxai ask` and `tagxai effects` as their users meet them."""

import json

import pytest
from typer.testing import CliRunner

from tagxai.cli import app
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.methods.random import Random
from tagxai.scoring import prompt_and_history, replacement_contrast
from tagxai.text.words import Unit


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


@pytest.fixture
def folder(generator, generation, tmp_path):
    Random().attribute(generator, generation).save(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(autouse=True)
def model(monkeypatch, generator):
    """The random model under every name, without loading it again."""
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda spec, **options: generator)
    return generator


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda *_, **__: pytest.fail("a model was loaded"))


def test_how_much_the_words_matter_is_told_over_time(folder, generator, generation):
    result = run("ask", folder)
    assert result.exit_code == 0, result.output
    assert "history" in result.stdout
    assert "prompt" in result.stdout
    assert "0-0.12 s" in result.stdout  # 25 frames of 1/25 s in slices of 3
    assert result.stdout.splitlines()[-1].startswith("all")
    answer = json.loads(run("ask", folder, "--json", "--interval", "0:0.4").stdout)
    (part,) = answer["intervals"]
    expected = prompt_and_history(generator, generation).prompt[:, :10]
    assert part["mean"]["prompt"] == pytest.approx(expected.mean().item(), abs=1e-5)
    assert part["frames"]["prompt"] == pytest.approx(expected.mean(0).tolist(), abs=1e-4)
    assert (part["start"], part["end"]) == (0, 0.4)


def test_why_this_word_and_not_another(folder, generator, generation):
    result = run("ask", folder, "--instead", "dog=cat", "--instead", "barks=meows", "-i", "0:0.4", "--against", "0.4:1")
    assert result.exit_code == 0, result.output
    assert "a cat meows while rain falls" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("difference")
    answer = json.loads(run("ask", folder, "--instead", "dog=cat", "--json").stdout)
    expected = replacement_contrast(generator, generation, {"dog": "cat"}).difference.mean().item()
    assert answer["intervals"][0]["mean"]["difference"] == pytest.approx(expected, abs=1e-5)


def test_why_here_and_not_there_names_words(folder):
    result = run("ask", folder, "--interval", "0:0.4", "--against", "0.4:1", "--by", "phrase")
    assert result.exit_code == 0, result.output
    assert "a dog" in result.stdout
    answer = json.loads(run("ask", folder, "-i", "0:0.4", "--against", "0.4:1", "--json").stdout)
    assert [unit["text"] for unit in answer["units"]][:3] == ["a", "dog", "barks"]
    for unit in answer["units"]:
        assert unit["difference"] == pytest.approx(unit["here"] - unit["there"], abs=1e-5)


def test_effects_tell_direct_from_indirect(folder):
    result = run("effects", folder, "--interval", "0:0.4")
    assert result.exit_code == 0, result.output
    for text in ("total", "direct", "through others", "dog"):
        assert text in result.stdout
    assert "</s>" not in result.stdout
    for unit in json.loads(run("effects", folder, "--direct", "attention", "--json").stdout)["units"]:
        assert unit["total"] == pytest.approx(unit["direct"] + unit["through others"], abs=1e-5)
    refused = run("effects", folder, "--direct", "delete", "--total", "value")
    assert refused.exit_code == 2
    assert "to delete a word's text is its total effect" in refused.stderr


def test_a_comparison_is_asked_about_its_clip(folder, generator, generation, tmp_path):
    explanation = Explanation(Random().attribute(generator, generation))
    Comparison({"random": explanation, "other": explanation}).save(tmp_path / "both")
    for question in (["ask"], ["effects", "--by", "phrase"]):
        result = run(question[0], tmp_path / "both", *question[1:])
        assert result.exit_code == 0, result.output
        assert result.stdout == run(question[0], folder, *question[1:]).stdout
    assert run("show", tmp_path / "both").exit_code == 0  # what is kept there is no method


def test_asking_again_runs_hardly_anything(folder, generator, monkeypatch):
    first = run("effects", folder).stdout
    rows, forward = [], generator.forward

    def counted(clip, conditioning=None, **options):
        rows.append(len(conditioning))
        return forward(clip, conditioning, **options)

    monkeypatch.setattr(generator, "forward", counted)
    assert run("effects", folder, "--interval", "0:0.4").exit_code == 0
    assert rows == [1, 1]  # by which the model is known, for each operator
    assert run("effects", folder).stdout == first
    assert (folder / "scores").is_dir()
    assert run("show", folder).exit_code == 0  # the folder is still an explanation


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ask", "--instead", "dog"], "--instead takes WORD=OTHER, such as dog=cat, not 'dog'"),
        (["ask", "--instead", "dog="], "--instead takes WORD=OTHER"),
        (["ask", "--instead", "dog=cat", "--instead", "dog=cow"], "--instead replaces 'dog' twice"),
        (["ask", "--against", "0:1"], "--against needs an --interval"),
        (["ask", "--interval", "0:0.5", "--by", "phrase"], "--operator and --by only apply with --against"),
        (["ask", "--instead", "dog=cat", "--operator", "delete"], "--operator and --by only apply with --against"),
        (["ask", "--interval", "0:0.5", "--against", "x"], "--against takes START:END"),
        (["ask", "--interval", "0:9"], "does not fit the clip"),
        (["effects", "--interval", "1:0"], "0 <= START < END"),
    ],
)
def test_wrong_questions_are_told_in_one_sentence_before_anything_is_loaded(folder, arguments, told, nothing_is_loaded):
    result = run(arguments[0], folder, *arguments[1:])
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_only_the_model_or_the_prompt_can_tell(folder, generator, monkeypatch):
    assert "no word 'cat' to replace" in run("ask", folder, "--instead", "cat=dog").stderr
    assert "is missing" in run("ask", folder / "nowhere").stderr
    assert "no generator named 'tony'" in run("effects", folder, "--generator", "tony").stderr
    monkeypatch.setattr(type(generator), "offers", frozenset())
    assert "operator 'value' needs attention" in run("effects", folder).stderr
    monkeypatch.setattr(generator, "delays", (0, 0, 0, 0))
    result = run("effects", folder, "--generator", "tiny")
    assert result.exit_code == 2
    assert "is not the model that made this clip" in result.stderr


def test_a_prompt_without_words_has_no_effects(folder, generator, monkeypatch):
    monkeypatch.setattr(
        "tagxai.cli.effects.units_of", lambda clip, by: (Unit("</s>", 5, 5, (len(clip.tokens) - 1,), special=True),)
    )
    result = run("effects", folder)
    assert result.exit_code == 2
    assert "has no word that could be removed" in result.stderr


def test_end_of_text_written_out_is_a_word_like_any_other(generator, tmp_path):
    Random().attribute(generator, generator.generate("</s>", duration=0.2, seed=0)).save(tmp_path / "out")
    result = run("effects", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    (unit,) = json.loads(result.stdout)["units"]
    assert unit["text"] == "</s>"
    assert unit["tokens"] == [0, 1, 2, 3, 4]  # its characters, and not the token that ends every text


def test_answers_are_kept_and_shown_on_the_page_of_their_clip_alone(folder, generator):
    assert run("ask", folder).exit_code == 0
    assert run("ask", folder, "--interval", "0:0.4", "--against", "0.4:1").exit_code == 0
    assert run("effects", folder, "--json").exit_code == 0
    shown = json.loads(run("effects", folder, "--json").stdout)["units"]
    assert run("report", folder).exit_code == 0
    page = (folder / "report.html").read_text()
    for question in (
        "How much do the words matter, beside the preceding audio?",
        "Why from 0:0.4 s, and not from 0.4:1 s? (by word, value)",
        "What does each word do itself, and through others?",
    ):
        assert f"<caption>{question}</caption>" in page
    for unit in shown:
        assert f'<td class="number">{unit["total"]:.3f}</td>' in page
    other = generator.generate("a cat meows", duration=1.0, seed=4)
    Random().attribute(generator, other).save(folder)
    assert run("report", folder).exit_code == 0
    assert "<caption>Why from" not in (folder / "report.html").read_text()
