"""Folders that hold another kind of model, none, or a damaged one: one true sentence."""

import errno
import json
import shutil

import pytest
from refusing import refused


def with_config(**content):
    return lambda folder: (folder / "config.json").write_text(json.dumps(content))


def of_files(*names):
    return lambda folder: [(folder / name).write_bytes(b"") for name in names]


def of_text(name, text):
    return lambda folder: (folder / name).write_text(text)


FOLDERS = {
    "melody": (
        with_config(architectures=["MusicgenMelodyForConditionalGeneration"], model_type="musicgen_melody"),
        "is not a MusicgenForConditionalGeneration: it holds a MusicgenMelodyForConditionalGeneration; the generator "
        "'melody' of the plugin tagxai-melody reads it",
    ),
    "audiocraft": (
        of_files("state_dict.bin", "compression_state_dict.bin"),
        "does not hold a MusicGen model: it holds a model in audiocraft's format; the generators 'audiogen' and",
    ),
    "diffusers": (
        of_text("model_index.json", '{"_class_name": "StableAudioPipeline"}'),
        "does not hold a MusicGen model: it holds a diffusers pipeline (StableAudioPipeline)",
    ),
    "classifier": (
        with_config(architectures=["BertForSequenceClassification"], model_type="bert"),
        "it holds a BertForSequenceClassification",
    ),
    "adapter": (of_text("adapter_config.json", "{}"), "it holds an adapter without its model"),
    "explanation": (of_text("explanation.json", "{}"), "it holds an explanation by tagxai, not a model"),
    "empty": (lambda folder: None, "does not hold a MusicGen model: it is empty"),
    "text": (of_text("notes.txt", "no model"), "does not hold a MusicGen model: it has no config.json"),
    "no JSON": (of_text("config.json", "{"), "its config.json is damaged: it is not JSON"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_another_kind_of_folder_is_named_as_what_it_is(kind, tmp_path):
    make, sentence = FOLDERS[kind]
    folder = tmp_path / "model"
    folder.mkdir()
    make(folder)
    assert sentence in refused(tmp_path, f"musicgen:{folder}")


def test_a_model_in_transformers_format_given_to_audiogen_names_who_reads_it(random_model, tmp_path):
    pytest.importorskip("audiocraft")
    sentence = "it holds a MusicgenForConditionalGeneration; the generator 'musicgen' reads it"
    assert sentence in refused(tmp_path, f"audiogen:{random_model}")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_folder_with_a_file_cut_short_is_one_sentence(file, random_model, tmp_path):
    folder = shutil.copytree(random_model, tmp_path / "copy")
    (folder / file).write_bytes((folder / file).read_bytes()[:1000])
    found = refused(tmp_path, f"musicgen:{folder}")
    assert f"'{folder}'" in found
    assert "damaged" in found or "does not hold a MusicGen model" in found


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.EACCES, "Permission denied"), (errno.ENOSPC, "No space left on device")]
)
def test_what_the_operating_system_refuses_is_not_blamed_on_the_model(
    number, sentence, random_model, tmp_path, monkeypatch
):
    from transformers import AutoTokenizer

    def fail(source, **options):
        try:
            raise OSError(number, sentence, f"{source}/tokenizer.json")
        except OSError as error:
            raise RuntimeError("the tokenizer cannot be made") from error  # as transformers wraps it

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", fail)
    found = refused(tmp_path, f"musicgen:{random_model}")
    assert found.endswith(f"{random_model}/tokenizer.json: {sentence}")
