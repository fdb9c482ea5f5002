"""The command line as its users meet it: what is printed, what is written, and the one sentence when it goes wrong."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import tagxai
from tagxai import Attribution, storage
from tagxai.cli import app
from tagxai.cli import explain as explain_command
from tagxai.cli import generate as generate_command
from tagxai.cli.parsing import parse_settings
from tagxai.contract.field_docs import field_docs
from tagxai.contract.generator import Generator
from tagxai.errors import TagxaiError
from tagxai.explaining import loading
from tagxai.explaining.prompts import prompt_warnings
from tagxai.methods.audiogenx import AudioGenX
from tagxai.testing import random_checkpoint
from tagxai.text.lists import read_prompts


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


@pytest.fixture
def loads(monkeypatch, generator):
    """The random model under every name, without loading it again; counts how often it was asked for."""
    asked = []

    def load(spec, **options):
        asked.append(spec)
        return generator

    monkeypatch.setattr("tagxai.cli.options.load_generator", load)
    return asked


@pytest.fixture
def nothing_is_made(monkeypatch):
    """Loading a model is an error: what is cheap to check must be found before."""

    def refuse(*arguments, **options):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("tagxai.cli.options.load_generator", refuse)


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
        "heatmap.png",
        "report.html",
    }
    for text in ("dog", "barks", "</s>", "clip", "0-0.2 s", "report.html"):
        assert text in result.stdout
    saved = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert saved["schema_version"] == 3
    assert [i["end"] for i in saved["intervals"]] == [0.2]


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
        ([], "one of a PROMPT and --prompts FILE"),
        (["a dog", "--prompts", "a.csv"], "one of a PROMPT and --prompts FILE"),
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
        raise KeyboardInterrupt

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


# generate


def generate(source, out, *options):
    return run("generate", source, "--duration", "0.2", "--out", out, *options)


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text('audiocap_id,youtube_id,start_time,caption\n1,a,0,"rain, falls"\n2,b,0,a dog\n3,c,0,a bell\n')
    return file


def test_generate_makes_audio_codes_and_json_of_each_prompt(loads, prompts, tmp_path):
    result = generate(prompts, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "made 3, already there 0, failed 0" in result.stdout
    endings = sorted(file.suffix for file in (tmp_path / "out").iterdir())
    assert endings == [".csv", *[".flac"] * 3, *[".json"] * 3, *[".safetensors"] * 3]
    index = (tmp_path / "out" / "index.csv").read_text().splitlines()
    assert index[0] == "line,prompt,seed,clip,error"
    assert re.fullmatch(r'2,"rain, falls",0,rain-falls-\w+\.flac,', index[1])


def test_a_second_run_makes_nothing(loads, prompts, tmp_path):
    generate(prompts, tmp_path / "out")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.[fs]*")}
    result = generate(prompts, tmp_path / "out")
    assert "made 0, already there 3" in result.stdout
    assert before == {file: file.stat().st_mtime_ns for file in before}


@pytest.mark.parametrize("suffix", [".flac", ".safetensors", ".json"])
@pytest.mark.parametrize("harm", ["delete", "truncate"])
def test_only_what_was_lost_is_made_again(loads, prompts, tmp_path, suffix, harm):
    generate(prompts, tmp_path / "out")
    (lost,) = (tmp_path / "out").glob(f"a-dog*{suffix}")
    content = lost.read_bytes()
    lost.unlink() if harm == "delete" else lost.write_bytes(content[:50])
    assert "made 1, already there 2" in generate(prompts, tmp_path / "out").stdout
    if suffix != ".json":  # which says how long it took
        assert lost.read_bytes() == content


def test_other_settings_make_other_clips(loads, tmp_path):
    for options in ([], ["--seed", "1"], ["--top-k", "5"], ["--temperature", "0.5"], ["--guidance-scale", "1"]):
        assert "made 1" in generate("a dog", tmp_path, *options).stdout
    assert "made 1, already there 2" in generate("a dog", tmp_path, "--repeats", 3).stdout
    assert len(list(tmp_path.glob("*.flac"))) == 6


def test_an_interrupted_run_goes_on(loads, prompts, tmp_path, monkeypatch):
    write, made = generate_command.write, []

    def stop_at_second(job, *arguments):
        if made:
            raise KeyboardInterrupt
        made.append(job)
        write(job, *arguments)

    monkeypatch.setattr(generate_command, "write", stop_at_second)
    assert generate(prompts, tmp_path / "out").exit_code == 130
    monkeypatch.setattr(generate_command, "write", write)
    assert "made 2, already there 1" in generate(prompts, tmp_path / "out").stdout


def test_one_bad_prompt_is_told_and_the_rest_is_made(loads, tmp_path):
    source = tmp_path / "prompts.csv"
    source.write_text("prompt\na dog\n  \na bell\n")
    for made in ("made 2, already there 0", "made 0, already there 2"):
        result = generate(source, tmp_path / "out")
        assert result.exit_code == 1
        assert f"{made}, failed 1" in result.stdout
        assert "line 3: the prompt is empty" in result.stderr


def test_limit_takes_the_first_prompts(loads, prompts, tmp_path):
    assert "made 2" in generate(prompts, tmp_path / "out", "--limit", 2).stdout


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"text\nx\n", "has no column 'prompt' or 'caption'; its first line has: 'text'"),
        ("a.csv", b"", "holds no prompts"),
        ("a.csv", b"caption\n", "holds no prompts"),
        ("a.csv", b"caption\na dog\ncaf\xe9\n", "line 3: byte 0xe9 is not UTF-8"),
        ("a.csv", b'caption\n"a dog\n', "line 2"),
        ("a.txt", b"\n\n", "holds no prompts"),
    ],
)
def test_an_unreadable_list_is_told(name, content, told, nothing_is_made, tmp_path):
    (tmp_path / name).write_bytes(content)
    result = generate(tmp_path / name, tmp_path / "out")
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_list_that_is_not_there_is_told(nothing_is_made, tmp_path):
    assert "a.csv' does not exist" in generate(tmp_path / "a.csv", tmp_path / "out").stderr


def test_a_duration_that_the_model_cannot_make_ends_the_run(loads, prompts, tmp_path):
    result = run("generate", prompts, "--duration", 99, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "cannot make 99 s" in result.stderr


def test_lists_are_read_in_each_layout(tmp_path):
    def read(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_prompts(tmp_path / name)

    assert read("a.csv", "\ufeffCaption \nx\n\ny\n") == [("x", 2), ("y", 4)]
    assert read("a.csv", 'id,prompt\n1,"two\nlines"\n2,y\n3\n') == [("two\nlines", 2), ("y", 4), ("", 5)]
    assert read("a.csv", "caption,id\nx\u2028y,1\n") == [("x\u2028y", 2)]  # no end of a row
    assert read("a.tsv", "id\tcaption\n1\tx, y\n") == [("x, y", 2)]
    assert read("a.txt", "x\n\ny\n\n") == [("x", 1), ("", 2), ("y", 3)]
    with pytest.raises(TagxaiError, match="does not exist"):
        read_prompts(tmp_path)


# list, methods, help


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


@pytest.mark.parametrize("command", [["--help"], ["list"], ["methods", "audiogenx"], ["--version"]])
def test_looking_around_loads_no_torch(command):
    code = (
        "import sys, atexit; from tagxai.cli import main\n"
        "heavy = {'torch', 'spacy', 'matplotlib', 'transformers'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules))))\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


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
