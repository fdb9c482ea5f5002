"""Lists, descriptions and help, which load no torch; and what is said of a prompt before the work."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from cli_helpers import run

import tagxai
from tagxai.cli import app
from tagxai.cli import explain as explain_command
from tagxai.cli.parsing import parse_settings
from tagxai.contract.field_docs import field_docs
from tagxai.contract.generator import Generator
from tagxai.explaining import loading
from tagxai.explaining.prompts import prompt_warnings
from tagxai.methods.audiogenx import AudioGenX


def test_list_names_everything_with_its_origin():
    result = run("list")
    assert result.exit_code == 0
    for line in (r"audiogenx +AudioGenX.* tagxai\b", r"tiny +The embedded", r"mask_size +Complexity"):
        assert re.search(line, result.stdout)
    assert "audiogenx" in json.loads(run("list", "--json").stdout)["methods"]


def test_methods_describes_settings_with_default_and_text():
    result = run("methods", "audiogenx")
    assert re.search(r"mode +teacher_forced +teacher_forced \| reference +`teacher_forced` runs", result.stdout)
    assert "attention, gradients" in result.stdout
    assert "did you mean 'audiogenx'" in run("methods", "audiogen").stderr
    assert "audiogenx" in run("methods").stdout


def test_field_docs_reads_the_string_below_each_field():
    docs = field_docs(AudioGenX)
    assert docs["beta"] == "Weight of the mask's L2 norm."
    assert docs["epochs"].startswith("None takes the paper's 50")


@pytest.mark.parametrize("command", ["explain", "show", "report", "generate", "list", "methods"])
def test_every_command_explains_itself_with_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"tagxai {command}" in result.stdout
    assert "Example" in result.stdout


def test_the_examples_of_explain_name_methods_and_settings_that_there_are():
    (command,) = (command for command in app.registered_commands if command.callback is explain_command.explain)
    examples = [shlex.split(line) for line in re.findall(r"\[bold\](.+?)\[/\]", command.epilog)]
    assert len(examples) > 3
    for example in examples:
        options = example[2 if "--prompts" in example else 3 :]
        given = dict(zip(options[::2], options[1::2], strict=True))
        names = loading.method_names(given.get("--method", "share_x_effect"))
        loading.make_methods(names, parse_settings([given["--set"]] if "--set" in given else []))


def test_an_unknown_option_is_met_with_a_suggestion():
    result = run("explain", "a dog", "--intervall", "0:1")
    assert result.exit_code == 2
    assert "--interval" in result.stderr


HEAVY = {
    "torch",
    "numpy",
    "jaxtyping",
    "spacy",
    "matplotlib",
    "transformers",
    "soundfile",
    "pandas",
    "captum",
    "jinja2",
}


def loaded_by(*command, of=frozenset(HEAVY)):
    """What a command prints, and which heavy libraries it imports."""
    code = (
        "import atexit, sys; from tagxai.cli import main\n"
        f"atexit.register(lambda: print(*sorted({set(of)} & set(sys.modules)), file=sys.stderr))\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.splitlines()[-1].split()


LOOKING_AROUND = ["--help", "list", "list --json", "methods audiogenx", "generators", "metrics", "explain --help"]


@pytest.mark.parametrize("command", [*LOOKING_AROUND, "--version"])
def test_looking_around_loads_nothing_heavy(command):
    assert loaded_by(*command.split())[1] == []


@pytest.mark.parametrize("options", [(), ("--interval", "0.2:0.6"), ("--json",)])
def test_a_saved_explanation_is_shown_without_anything_heavy(options, explanation, tmp_path):
    explanation.save(tmp_path / "saved", intervals=[(0.2, 0.6)])
    printed, loaded = loaded_by("show", str(tmp_path / "saved"), *options)
    assert loaded == []
    assert "barks" in printed


NOT_TO_EXPLAIN = {
    *("matplotlib", "pandas", "pyarrow", "captum", "sklearn", "librosa", "ray", "starlette", "uvicorn"),
    *("audiocraft", "diffusers", "hear21passt", "beartype", "IPython"),
}
"""What the default explain has no use for, though the full environment has it."""


@pytest.mark.slow
def test_explaining_loads_only_what_it_needs(tmp_path):
    printed, loaded = loaded_by("explain", "a dog barks", "--out", str(tmp_path / "explained"), of=NOT_TO_EXPLAIN)
    assert loaded == []
    assert "barks" in printed
    assert (tmp_path / "explained" / "report.html").is_file()


def test_version_is_that_of_the_package():
    assert re.fullmatch(r"tagxai \d+\.\d+\.\d+\n", run("--version").stdout)


def test_explaining_by_names_is_the_same_as_by_objects(generator):
    assert isinstance(generator, Generator)
    by_name = tagxai.explain("a dog", method="random", generator=generator, duration=0.2, seed=1)
    method = loading.make_method("random")
    by_object = tagxai.explain("a dog", method=method, generator=generator, duration=0.2, seed=1)
    assert (by_name.scores == by_object.scores).all()


def test_words_that_the_tokenizer_does_not_know_are_told_before_the_work(loads, tmp_path):
    told = "does not know '狗', '☃': the model sees"
    found = run("explain", "狗 dog ☃", "--method", "random", "--duration", "0.1", "--out", tmp_path / "explained")
    assert found.exit_code == 0
    assert found.stderr.count(told) == 1
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a dog\n狗 dog ☃\n")
    found = run("generate", prompts, "--duration", "0.1", "--repeats", "2", "--out", tmp_path / "made")
    assert found.stderr.count("does not know") == found.stderr.count(f"line 2: the tokenizer of 'musicgen' {told}") == 1


def test_an_explanation_in_python_warns_of_what_the_model_cannot_read(generator, monkeypatch):
    with pytest.warns(UserWarning, match="does not know '狗'"):
        tagxai.explain("狗 dog", method="random", generator=generator, duration=0.1)
    assert prompt_warnings(generator, "a dog") == []
    monkeypatch.setattr(generator.tokenizer, "model_max_length", 8)
    with pytest.warns(UserWarning, match="made for at most 8"):
        tagxai.explain("a dog " * 8, method="random", generator=generator, duration=0.1)
