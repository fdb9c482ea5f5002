"""`tagxai explain --prompts FILE`, clips in batches, prompts that are encoded once, and settings that are declared."""

import csv
import json
import re

import pytest
from typer.testing import CliRunner

from tagxai import TagxaiError
from tagxai.cli import app
from tagxai.contract.request import Setting
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.random import Random


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


@pytest.fixture
def batches(monkeypatch, generator):
    """The random model under every name; the prompts of each batch of clips that it is asked for."""
    asked = []
    make = type(generator).generate_many

    def generate_many(self, requests, **options):
        asked.append([request.prompt for request in requests])
        return make(self, requests, **options)

    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda spec, **options: generator)
    monkeypatch.setattr(type(generator), "generate_many", generate_many)
    return asked


@pytest.fixture
def listed(tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text("id,caption\n1,a dog\n2,a bell\n3,a dog\n4,\n", encoding="utf-8")
    return file


def explain(listed, out, *options):
    return run("explain", "--prompts", listed, "-m", "random", "-d", "0.2", "--audio-repeats", 0, "-o", out, *options)


def test_each_prompt_has_a_folder_and_their_clips_are_made_together(batches, listed, tmp_path):
    result = explain(listed, tmp_path / "out")
    assert result.exit_code == 1  # of the line without a prompt
    assert batches == [["a dog", "a bell"]]
    assert "made 2, already there 1, failed 1" in result.stdout
    assert "line 5: the prompt is empty" in result.stderr
    with (tmp_path / "out" / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["line"] for row in rows] == ["2", "3", "4", "5"]
    assert rows[0]["folder"] == rows[2]["folder"] != rows[1]["folder"]
    assert (rows[3]["folder"], rows[3]["error"]) == ("", rows[3]["error"] or None)
    for row in rows[:2]:
        assert Explanation.load(tmp_path / "out" / row["folder"]).attribution.generation.prompt == row["prompt"]


def test_a_list_is_resumed(batches, listed, tmp_path):
    explain(listed, tmp_path / "out")
    batches.clear()
    assert "made 0, already there 3" in explain(listed, tmp_path / "out").stdout
    assert batches == []
    (lost,) = (tmp_path / "out").glob("a-bell-*/report.html")
    lost.unlink()
    assert "made 1, already there 2" in explain(listed, tmp_path / "out").stdout
    assert batches == [["a bell"]]
    (harmed,) = (tmp_path / "out").glob("a-dog-*/scores.safetensors")
    harmed.write_bytes(b"no")
    assert "made 1, already there 2" in explain(listed, tmp_path / "out").stdout
    assert "made 2" in explain(listed, tmp_path / "out", "--set", "seed=3").stdout  # another question


def test_a_prompt_that_fails_does_not_stop_the_others(batches, listed, tmp_path, monkeypatch):
    whole = Random.explain

    def fails_at_dogs(self, run):
        return 1 / 0 if run.generation.prompt == "a dog" else whole(self, run)

    monkeypatch.setattr(Random, "explain", fails_at_dogs)
    result = explain(listed, tmp_path / "out")
    assert result.exit_code == 1
    assert "made 1, already there 0, failed 3" in result.stdout
    assert "line 2: ZeroDivisionError" in result.stderr
    assert [path.name[:6] for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["a-bell"]


@pytest.mark.parametrize("command", ["explain", "generate"])
def test_where_a_batch_fails_each_clip_is_tried_alone(command, batches, listed, tmp_path, monkeypatch, generator):
    make = type(generator).generate_many

    def no_bells(self, requests, **options):
        if any(request.prompt == "a bell" for request in requests):
            raise TagxaiError("bells are out of stock")
        return make(self, requests, **options)

    monkeypatch.setattr(type(generator), "generate_many", no_bells)
    given = ["--prompts", listed, "-m", "random", "--audio-repeats", 0] if command == "explain" else [listed]
    result = run(command, *given, "-d", "0.2", "-o", tmp_path / "out")
    assert "made 1, already there 1, failed 2" in result.stdout
    assert "line 3: bells are out of stock" in result.stderr


def test_several_methods_of_a_list_are_compared(batches, listed, tmp_path):
    explain(listed, tmp_path / "out", "-m", "random,cross_attention")
    (folder,) = (tmp_path / "out").glob("a-dog-*")
    assert list(Comparison.load(folder).explanations) == ["random", "cross_attention"]


def test_a_prompt_is_encoded_once_for_three_methods_and_audio(batches, generator, tmp_path, monkeypatch):
    encoded = []
    encode = type(generator).encode_prompt
    monkeypatch.setattr(
        type(generator), "encode_prompt", lambda self, prompts: encoded.append(list(prompts)) or encode(self, prompts)
    )
    result = run(
        *("explain", "a dog barks", "-m", "random,cross_attention,audiogenx", "--set", "epochs=2", "-d", "0.4"),
        *("--audio-repeats", 2, "-o", tmp_path),
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "audiogenx" / "factual-2.flac").is_file()
    assert encoded == [["a dog barks"]]


def test_prompts_of_a_list_are_encoded_once_each_for_three_methods_and_audio(
    batches, generator, listed, tmp_path, monkeypatch
):
    encoded, encode = [], type(generator).encode_prompt
    monkeypatch.setattr(
        type(generator), "encode_prompt", lambda self, prompts: encoded.append(list(prompts)) or encode(self, prompts)
    )
    explain(
        listed, tmp_path / "out", "-m", "random,cross_attention,audiogenx", "--set", "epochs=2", "--audio-repeats", 1
    )
    of_the_list = [prompts for prompts in encoded if prompts != ["a"]]  # by which the model's device is found
    assert sorted(of_the_list) == [["a bell"], ["a dog"]]


def test_a_list_is_explained_in_batches_by_methods_that_gain_by_it(batches, listed, tmp_path, monkeypatch):
    together, own = [], AudioGenX.attribute_many

    def attribute_many(self, generator, clips, **options):
        together.append([clip.prompt for clip in clips])
        return own(self, generator, clips, **options)

    monkeypatch.setattr(AudioGenX, "attribute_many", attribute_many)
    monkeypatch.setattr(AudioGenX, "attribute", lambda *_, **__: pytest.fail("a clip was explained alone"))
    explain(listed, tmp_path / "out", "-m", "audiogenx", "--set", "epochs=2")
    assert together == [["a dog", "a bell"]]
    assert len(list((tmp_path / "out").glob("*/explanation.json"))) == 2


def test_where_a_batch_fails_its_clips_are_explained_one_by_one(batches, listed, tmp_path, monkeypatch):
    monkeypatch.setattr(AudioGenX, "attribute_many", lambda *_, **__: 1 / 0)
    explain(listed, tmp_path / "out", "-m", "audiogenx", "--set", "epochs=2")
    assert len(list((tmp_path / "out").glob("*/explanation.json"))) == 2


# sampling settings


@pytest.mark.parametrize("given", [["--top-k", "5"], ["--top-k=5"], ["--top-k", "5.0"]])
def test_options_of_sampling_may_stand_anywhere(given, batches, tmp_path):
    result = run("explain", *given, "a dog", "-m", "random", "--audio-repeats", 0, "-d", "0.2", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "explanation.json").read_text())["generation"]["settings"]["top_k"] == 5


@pytest.fixture
def other_family(batches, generator, monkeypatch):
    """The random model as if it sampled in another way; what its settings were."""
    seen = []
    declared = [Setting("denoising_steps", int, 20, "Steps from noise to sound.", 1, 1000)]
    make = type(generator).generate_many

    def generate_many(self, requests, **options):
        seen.extend(dict(request.settings) for request in requests)
        own = [type(each)(each.prompt, each.duration, each.seed, conditioning=each.conditioning) for each in requests]
        return make(self, own, **options)

    monkeypatch.setattr(type(generator), "generate_many", generate_many)
    monkeypatch.setattr(type(generator), "sampling_settings", lambda self: declared)
    return seen


def test_another_family_has_options_of_its_own(other_family, generator, tmp_path, monkeypatch):
    monkeypatch.setattr(type(generator), "generate_one", lambda *_, **__: pytest.fail("not asked"))
    for command in (["generate", "a dog"], ["explain", "a dog", "-m", "random", "--audio-repeats", 0]):
        wrong = run(*command, "--top-k", 5, "-d", "0.2", "-o", tmp_path / command[0])
        assert wrong.exit_code == 2
        assert re.search(r"named '--top-k'.*choices: --denoising-steps$", wrong.stderr.strip())
        far = run(*command, "--denoising-steps", 5000, "-d", "0.2", "-o", tmp_path / command[0])
        assert "denoising_steps must be a whole number from 1 to 1000, not 5000" in far.stderr
        assert not (tmp_path / command[0]).exists()
    shown = run("generators", "musicgen")
    assert re.search(r"--denoising-steps +20 +a whole number from 1 to 1000 +Steps from noise to sound\.", shown.stdout)


def test_generators_lists_and_describes(batches):
    assert "tiny" in run("generators").stdout
    shown = run("generators", "musicgen")
    assert shown.exit_code == 0, shown.output
    for text in ("--guidance-scale", "--top-k", "--temperature", "16000 Hz"):
        assert text in shown.stdout
    assert "did you mean 'tiny'" in run("generators", "tiney").stderr
