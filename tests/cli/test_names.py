"""What exists is recognised by all that decides it: another model, precision, version or plugin is another result."""

import json
import shutil

import pytest
import torch
from cli_helpers import run
from safetensors.torch import load_file, save_file

import tagxai
from tagxai import TagxaiError
from tagxai.contract.attribution import Attribution
from tagxai.errors import DamagedFileError
from tagxai.explaining import identifying
from tagxai.explaining.comparison import Comparison, method_folder
from tagxai.explaining.explanation import Explanation
from tagxai.methods.occlusion import Occlusion
from tagxai.testing import random_checkpoint


@pytest.fixture
def model(random_model, tmp_path):
    return shutil.copytree(random_model, tmp_path / "model")


def setting(name, *keys, value):
    def change(folder):
        content = json.loads((folder / name).read_text())
        table = content
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value
        (folder / name).write_text(json.dumps(content))

    return change


def one_weight(folder):
    weights = load_file(folder / "model.safetensors")
    weights["decoder.lm_heads.3.weight"][0, 0] += 0.5
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def moved(folder):
    """The same model under the same path, but other files: this changes nothing."""
    copied = shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    copied.rename(folder)


CHANGES = {
    "other weights": lambda folder: random_checkpoint(folder, seed=1),
    "one weight": one_weight,
    "heads of attention": setting("config.json", "decoder", "num_attention_heads", value=8),
    "activation": setting("config.json", "decoder", "activation_function", value="relu"),
    "normalisation in the text encoder": setting("config.json", "text_encoder", "layer_norm_epsilon", value=0.1),
    "padding in the codec": setting("config.json", "audio_encoder", "pad_mode", value="constant"),
    "default of sampling": setting("generation_config.json", "top_k", value=3),
    "rules of the tokenizer": setting("tokenizer.json", "pre_tokenizer", "prepend_scheme", value="never"),
}


def generate(model, out, *options):
    return run("generate", "a dog", "-g", f"musicgen:{model}", "-d", "0.2", "--device", "cpu", "-o", out, *options)


@pytest.mark.parametrize("change", CHANGES)
def test_a_clip_of_another_model_in_the_same_folder_is_made_again(change, model, tmp_path):
    assert "made 1, already there 0" in generate(model, tmp_path / "out").stdout
    moved(model)
    assert "made 0, already there 1" in generate(model, tmp_path / "out").stdout
    CHANGES[change](model)
    assert "made 1, already there 0" in generate(model, tmp_path / "out").stdout


def test_a_clip_of_another_precision_or_version_is_made_again_and_of_another_path_is_not(model, tmp_path, monkeypatch):
    assert "made 1" in generate(model, tmp_path / "out").stdout
    assert "made 1" in generate(model, tmp_path / "out", "--dtype", "bfloat16").stdout
    model = model.rename(tmp_path / "elsewhere")
    assert "made 0" in generate(model, tmp_path / "out").stdout
    monkeypatch.setattr(identifying, "installed_versions", lambda: {"torch": "99"})
    assert "made 1" in generate(model, tmp_path / "out").stdout


@pytest.mark.parametrize("change", ["one weight", "heads of attention", "rules of the tokenizer"])
def test_a_benchmark_of_another_model_in_the_same_folder_is_computed_again(change, model, tmp_path):
    def bench():
        plan = ["-g", f"musicgen:{model}", "-m", "occlusion", "--metrics", "gini", "-d", "0.2", "--device", "cpu"]
        (tmp_path / "prompts.txt").write_text("a dog barks\nrain")
        result = run("bench", *plan, "--prompts", tmp_path / "prompts.txt", "-o", tmp_path / "out")
        assert result.exit_code == 0, result.output
        return (tmp_path / "out" / "results.csv").read_bytes(), len(list((tmp_path / "out").glob("cells/*/*.json")))

    first, cells = bench()
    assert bench() == (first, cells)
    CHANGES[change](model)
    again, more = bench()
    assert again != first
    assert more == 2 * cells


def test_the_code_of_a_plugin_and_files_that_settings_name_are_part_of_a_name(tmp_path, monkeypatch):
    module = tmp_path / "edited_plugin.py"
    module.write_text("class Edited:\n    value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import edited_plugin

    first = identifying.code_of(edited_plugin.Edited)
    assert first == identifying.code_of(edited_plugin.Edited)
    module.write_text("class Edited:\n    value = 2\n")
    assert identifying.code_of(edited_plugin.Edited) != first
    assert identifying.code_of(Occlusion) == {}  # whose version says it all

    weights = tmp_path / "cnn.pth"
    weights.write_bytes(b"1")
    named = {"classifier": f"panns:{weights}", "folder": str(tmp_path), "plain": "value", "top": 3}
    before = identifying.content_of(named)
    assert set(before) == {"content of classifier", "content of folder"}
    weights.write_bytes(b"22")
    after = identifying.content_of(named)
    assert all(after[key] != before[key] for key in before)
    assert identifying.content_of({"a": "x" * 5000, "b": "nul\0", "c": "", "d": ":"}) == {}


def explained(explanation, method, plus=0.0):
    return Explanation(Attribution(explanation.generation, explanation.scores + plus, method))


def test_methods_of_names_that_look_alike_are_kept_apart(explanation, tmp_path):
    names = ["x y", "x-y", "x_y", "X_Y", "scores"]
    saved = Comparison({name: explained(explanation, name, number) for number, name in enumerate(names)}).save(tmp_path)
    found = Comparison.load(saved)
    for number, name in enumerate(names):
        assert found.explanations[name].attribution.method == name
        assert torch.equal(found.explanations[name].attribution.scores, explanation.scores + number)
    shown = run("show", tmp_path, "--json")
    assert {each["method"] for each in json.loads(shown.stdout)["explanations"].values()} == set(names)


@pytest.mark.parametrize("label", [True, False])
def test_folders_of_methods_that_were_exchanged_are_refused(label, explanation, tmp_path):
    names = ("a", "b") if label else ("same", "same")  # what an explanation calls its own method
    two = {key: explained(explanation, name, i) for i, (key, name) in enumerate(zip("ab", names, strict=True))}
    Comparison(two).save(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    with pytest.raises(DamagedFileError, match="it was exchanged or written again"):
        Comparison.load(tmp_path)
    assert "exchanged" in run("show", tmp_path).stderr


def test_an_explanation_that_was_put_into_a_comparison_is_refused(explanation, tmp_path):
    Comparison({"a": explained(explanation, "a"), "b": explained(explanation, "b")}).save(tmp_path / "one")
    Comparison({"a": explained(explanation, "a", 5), "b": explained(explanation, "b")}).save(tmp_path / "two")
    shutil.rmtree(tmp_path / "one" / method_folder("a"))
    shutil.copytree(tmp_path / "two" / method_folder("a"), tmp_path / "one" / method_folder("a"))
    with pytest.raises(DamagedFileError, match="it was exchanged or written again"):
        Comparison.load(tmp_path / "one")


@pytest.mark.parametrize("command", [["evaluate", "--metrics", "gini"], ["ask"], ["effects"]], ids=lambda c: c[0])
@pytest.mark.parametrize("change", ["one weight", "heads of attention"])
def test_an_explanation_made_by_another_model_is_refused(command, change, model, tmp_path):
    given = ["-g", f"musicgen:{model}", "-m", "random", "-d", "0.2", "--audio-repeats", 0, "--device", "cpu"]
    assert run("explain", "a dog", *given, "-o", tmp_path / "out").exit_code == 0
    CHANGES[change](model)
    result = run(command[0], tmp_path / "out", *command[1:], "--device", "cpu")
    assert result.exit_code == 2
    assert "is not the model that made this clip" in result.stderr
    clip = Explanation.load(tmp_path / "out").attribution.generation
    with pytest.raises(TagxaiError, match="is not the model that made this clip"):
        tagxai.explain(clip, method="random")
