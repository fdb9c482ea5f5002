"""The command line as its users meet it: what is printed, what is written, and the one sentence when it goes wrong."""

import dataclasses
import json
import signal
import sys

import pytest
from cli_helpers import run

from tagxai import Attribution, storage
from tagxai.cli import show as show_command
from tagxai.explaining.explanation import Explanation
from tagxai.methods.audiogenx import AudioGenX
from tagxai.testing import random_checkpoint


def explain(out, *options):
    return run("explain", "a dog barks", "--method", "random", "--duration", "0.4", "--out", out, *options)


@pytest.mark.parametrize(
    ("given", "has_cuda", "has_bfloat16", "loaded"),
    [
        ([], False, False, ("cpu", "float32")),
        ([], True, True, ("cuda", "bfloat16")),
        ([], True, False, ("cuda", "float32")),
        (["--device", "cpu"], True, True, ("cpu", "float32")),
        (["--dtype", "float16"], True, True, ("cuda", "float16")),
        (["--dtype", "bfloat16"], False, False, ("cpu", "bfloat16")),
    ],
)
@pytest.mark.parametrize("command", ["explain", "generate"])
def test_device_and_dtype_reach_the_generator(
    command, given, has_cuda, has_bfloat16, loaded, monkeypatch, generator, tmp_path
):
    asked = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_cuda)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: has_bfloat16)
    monkeypatch.setattr(
        "tagxai.cli.options.load_generator",
        lambda spec, device, dtype: asked.append((device, dtype)) or generator,
    )
    quick = ["--method", "random", "--audio-repeats", "0"] if command == "explain" else []
    result = run(command, "a dog", "--duration", "0.2", "--out", tmp_path, *quick, *given)
    assert result.exit_code == 0, result.output
    assert asked == [loaded]


# explain


def test_explain_writes_the_folder_and_prints_the_words(loads, tmp_path):
    result = explain(tmp_path / "out", "--interval", "0:0.2")
    assert result.exit_code == 0, result.output
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "explanation.json",
        "scores.safetensors",
        "original.flac",
        "factual.flac",
        "counterfactual.flac",
        "unconditional.flac",
        "report.html",
    }
    for text in ("dog", "barks", "</s>", "clip", "0-0.2 s", "report.html"):
        assert text in result.stdout
    saved = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert saved["schema_version"] == 3
    assert [i["end"] for i in saved["intervals"]] == [0.2]


def test_a_heat_map_is_drawn_where_it_is_asked_for_and_else_matplotlib_is_not_needed(loads, tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib.figure", None)
        assert explain(tmp_path).exit_code == 0
        assert run("report", tmp_path).exit_code == 0
    assert not (tmp_path / "heatmap.png").exists()
    assert run("report", tmp_path, "--heatmap").exit_code == 0
    drawn = (tmp_path / "heatmap.png").read_bytes()
    assert explain(tmp_path, "--heatmap").exit_code == 0
    assert (tmp_path / "heatmap.png").read_bytes() == drawn


def test_show_and_report_work_from_the_folder_alone(loads, tmp_path):
    made = explain(tmp_path)
    loads.clear()
    shown = run("show", tmp_path)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[3] in made.stdout
    (tmp_path / "report.html").unlink()
    assert run("report", tmp_path).exit_code == 0
    assert (tmp_path / "report.html").is_file()
    assert loads == []


@pytest.mark.parametrize("is_mask", [False, True])
@pytest.mark.parametrize("kept", [(), [(0.2, 0.6)], [(0.2, 0.6), (0.0, 0.4)]])
def test_scores_that_are_kept_are_shown_as_those_that_are_computed(kept, is_mask, explanation, tmp_path, capsys):
    saved = dataclasses.replace(explanation, scores=explanation.scores.clamp(0, 1), is_mask=is_mask)
    saved.save(tmp_path, intervals=kept)
    show_command.print_scores(tmp_path, Explanation.load(tmp_path), kept, "word", False)
    computed = capsys.readouterr().out
    assert run("show", tmp_path).stdout == computed
    assert run("show", tmp_path, *(f"--interval={a}:{b}" for a, b in kept)).stdout == computed
    assert "0.4-0.8 s" in run("show", tmp_path, "--interval", "0.4:0.8").stdout


@pytest.mark.parametrize("change", [{"words": None}, {"words": [3]}, {"intervals": [{}]}, {"generation": []}])
def test_kept_scores_that_are_none_are_a_damaged_file(change, explanation, tmp_path):
    explanation.save(tmp_path)
    content = {**storage.read_json(tmp_path / "explanation.json"), **change}
    content["sha256"].pop("explanation.json")
    content["sha256"]["explanation.json"] = storage.json_sha256(content)
    storage.write_json(tmp_path / "explanation.json", content)
    found = run("show", tmp_path)
    assert found.exit_code == 2
    assert "explanation.json is damaged" in found.stderr


def test_tokens_and_phrases_can_be_shown(loads, tmp_path):
    explain(tmp_path, "--audio-repeats", 0)
    assert "▁dog" in run("show", tmp_path, "--by", "token").stdout
    assert "a dog" in run("show", tmp_path, "--by", "phrase").stdout.split("seed 0")[1]


def test_json_is_the_only_thing_on_stdout(loads, tmp_path):
    result = explain(tmp_path, "--audio-repeats", 0, "--json")
    assert json.loads(result.stdout)["folder"] == str(tmp_path)
    assert not (tmp_path / "factual.flac").exists()


def test_the_default_folder_is_named_after_prompt_method_and_seed(loads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for more in ([], ["-d", "0.2"], ["-d", "0.4"], ["-d", "0.4", "--top-k", "3"]):
        result = run("explain", "a dog", "-m", "random", "-s", "7", *more)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "tagxai-out" / "a-dog-random-7" / "explanation.json").is_file()
    assert len(list((tmp_path / "tagxai-out").glob("a-dog-random-7-*"))) == 3  # other options are another result


def test_markup_and_escape_codes_in_a_prompt_are_printed_as_they_are(loads, tmp_path):
    result = run("explain", "[red]dog[/] \x1b[31mbarks", "-m", "random", "-d", "0.2", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert "[red]dog[/]" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\\x1b" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([" "], "the prompt is empty"),
        (["a dog", "--method", "audiogen"], "no method named 'audiogen'; did you mean 'audiogenx'?"),
        (["a dog", "--generator", "tony"], "no generator named 'tony'; did you mean 'tiny'?"),
        (["a dog", "-m", "audiogenx", "--set", "epoch=3"], "did you mean 'epochs'?"),
        (["a dog", "--set", "epochs"], "--set takes KEY=VALUE"),
        (["a dog", "-m", "audiogenx", "--set", "epochs=three"], "takes int, not 'three'"),
        (["a dog", "-m", "audiogenx", "--set", "epochs=0"], "must be at least 1"),
        (["a dog", "--duration", "-1"], "--duration takes a positive number of seconds, not -1"),
        (["a dog", "--duration", "nan"], "--duration takes a positive number of seconds, not nan"),
        (["a dog", "--interval", "1"], "--interval takes START:END"),
        (["a dog", "--interval", "2:1"], "0 <= START < END"),
        (["a dog", "--interval", "nan:1"], "0 <= START < END"),
        (["a dog", "--duration", "1", "--interval", "0.5:2"], "does not fit the clip"),
        (["a dog", "--method", "random,"], "methods are names separated by commas"),
        ([], "either a PROMPT or --prompts FILE"),
        (["a dog", "--prompts", "a.csv"], "either a PROMPT or --prompts FILE"),
        (["--prompts", "missing.csv"], "file 'missing.csv' does not exist"),
        (["--prompts", "missing.csv", "--json"], "--json is for one prompt"),
        (["a dog", "--limit", "3"], "--limit only applies with --prompts"),
        (["a dog", "--guidance-scale"], "option '--guidance-scale' needs a value"),
        (["a dog", "--guidance-scale", "--json"], "option '--guidance-scale' needs a value"),
        (["a dog", "--audio-repeat", "2"], "no option named '--audio-repeat'; did you mean '--audio-repeats'?"),
        (["a dog \udc80"], "not valid UTF-8"),
    ],
)
def test_wrong_input_is_told_in_one_sentence_before_anything_is_made(arguments, told, nothing_is_made, tmp_path):
    result = run("explain", *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_told(nothing_is_made, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        result = run("explain", "a dog", "--out", out)
        assert result.exit_code == 2
        assert "is a file" in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--duration", "99"], "cannot make 99 s"),
        (["--interval", "50:60"], "does not fit the clip"),
        (["--temperature", "-1"], "temperature must be a number of at least 0, not -1"),
        (["--guidance-scale", "much"], "guidance_scale must be a number, not 'much'"),
        (["--top-k=2.5"], "top_k must be a whole number of at least 0, not 2.5"),
        (["--denoising-steps", "50"], "choices: --guidance-scale, --temperature, --top-k"),
    ],
)
def test_what_the_model_cannot_do_is_told_before_generating(options, told, loads, generator, tmp_path, monkeypatch):
    monkeypatch.setattr(type(generator), "generate_many", lambda *_, **__: pytest.fail("a clip was made"))
    result = run("explain", "a dog", *options, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_method_that_the_generator_cannot_serve_is_told(loads, tmp_path, monkeypatch, generator):
    monkeypatch.setattr(type(generator), "offers", frozenset())
    result = run("explain", "a dog", "-m", "audiogenx", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "needs attention, gradients" in result.stderr


def test_a_value_that_only_the_work_shows_to_be_wrong_is_told(loads, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise ValueError("no such learning rate")

    monkeypatch.setattr(AudioGenX, "attribute", fail)
    setting = "learning_rate=7"
    result = run(
        "explain", "a dog", "-m", "audiogenx", "--duration", "0.2", "--set", setting, "--out", tmp_path / "out"
    )
    assert result.exit_code == 2
    assert f"cannot work with --set {setting}" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model_and_a_hub_model_without_network_are_told(tmp_path):
    for spec, told in [(f"musicgen:{tmp_path}", "does not hold"), ("musicgen:nobody/nothing", "cannot load")]:
        result = run("explain", "a dog", "--generator", spec, "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert told in result.stderr
        assert "Traceback" not in result.stderr


def test_a_damaged_folder_is_told(loads, tmp_path):
    assert "explanation.json is missing" in run("show", tmp_path / "nowhere").stderr
    explain(tmp_path, "--audio-repeats", 0)
    (tmp_path / "scores.safetensors").write_bytes(b"no")
    for command in ("show", "report"):
        result = run(command, tmp_path)
        assert result.exit_code == 2
        assert "scores.safetensors is missing or not the file that was written" in result.stderr


def test_an_interval_outside_a_saved_clip_is_told(loads, tmp_path):
    explain(tmp_path, "--audio-repeats", 0)
    result = run("show", tmp_path, "--interval", "0:9")
    assert result.exit_code == 2
    assert "does not fit the clip" in result.stderr


@pytest.mark.parametrize("method", [["audiogenx", "--set", "epochs=1"], ["input_x_gradient"]], ids=lambda m: m[0])
def test_a_stereo_model_is_explained_shown_and_reported(method, tmp_path):
    model = random_checkpoint(tmp_path / "model", channels=2, codebooks=2, max_steps=20)
    options = ["--generator", f"musicgen:{model}", "--duration", "0.4", "--interval", "0:0.2", "--method", *method]
    result = run("explain", "a dog barks", *options, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for name in ("original", "factual", "counterfactual", "unconditional"):
        waveform, rate = storage.read_audio(tmp_path / "out" / f"{name}.flac")
        assert (waveform.shape, rate) == ((2, 6400), 16_000)
    assert Attribution.load(tmp_path / "out").generation.record["codes"].shape == (4, 10)
    for again in (["show", tmp_path / "out"], ["report", tmp_path / "out"]):
        result = run(*again)
        assert result.exit_code == 0, result.output
    assert "barks" in run("show", tmp_path / "out").stdout
    assert "audio/flac" in (tmp_path / "out" / "report.html").read_text()


def test_an_interruption_is_one_line_and_exit_130(loads, tmp_path, monkeypatch, generator):
    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)  # the user's: what code raises by itself is that code's error

    monkeypatch.setattr(type(generator), "generate_many", interrupted)
    result = explain(tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line(loads, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device", "scores")

    monkeypatch.setattr("tagxai.storage.write_tensors", full)
    result = explain(tmp_path, "--audio-repeats", 0)
    assert result.exit_code == 2
    assert result.stderr == "scores: No space left on device\n"
