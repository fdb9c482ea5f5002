"""What cannot be explained rightly, or is not what it says, is one sentence."""

import pickle
import sys

import pytest
import torch

from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.audiocraft.model import AudioGenGenerator
from tagxai.testing import random_audiocraft_checkpoint

pytest.importorskip("audiocraft")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"positional_embedding": "rope"}, "rope"),
        ({"qk_layer_norm": True}, "qk_layer_norm"),
        ({"qk_layer_norm_cross": True}, "qk_layer_norm"),
        ({"kv_repeat": 2}, "kv_repeat"),
        ({"past_context": 4}, "past_context"),
        ({"memory_efficient": False}, "attention without custom"),
        ({"causal": False}, "not causal"),
        ({"bias_attn": True}, "biases in cross-attention"),
        ({"two_step_cfg": True}, "two_step_cfg"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_decoder_that_cannot_be_explained_rightly_is_refused_in_one_sentence(tmp_path, settings, named):
    random_audiocraft_checkpoint(tmp_path, changes={"transformer_lm": settings})
    with pytest.raises(UnsupportedError, match=f"this audiocraft model has .*{named}.*does not support$"):
        AudioGenGenerator.load(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fuser": {"cross_attention_pos_emb": True}}, "cross_attention_pos_emb"),
        ({"fuser": {"prepend": ["description"]}}, "fuser 'prepend'"),
        ({"fuser": {"sum": ["description"], "cross": []}}, "fuser 'sum'"),
        ({"codebooks_pattern": {"modeling": "coarse_first", "coarse_first": {}}}, "pattern"),
        ({"codebooks_pattern": {"delay": {"flatten_first": 1}}}, "pattern"),
    ],
    ids=["positions", "prepend", "sum", "coarse_first", "flatten_first"],
)
def test_a_model_that_is_put_together_otherwise_is_refused_in_one_sentence(tmp_path, changes, named):
    random_audiocraft_checkpoint(tmp_path, changes=changes)
    with pytest.raises(UnsupportedError, match=named):
        AudioGenGenerator.load(str(tmp_path))


@pytest.fixture
def changed(tmp_path, audiocraft_model):
    """A function that changes one file of a copy of the checkpoint, and gives the folder of the copy."""
    for path in audiocraft_model.iterdir():
        (tmp_path / path.name).symlink_to(path)

    def change(name, edit):
        package = torch.load(audiocraft_model / name)
        edit(package)
        (tmp_path / name).unlink()
        torch.save(package, tmp_path / name)
        return str(tmp_path)

    return change


class Code:
    """A pickle of this runs code: it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
def test_a_pickle_with_code_is_refused_and_not_run(changed, tmp_path, name):
    trace = tmp_path / "trace"
    folder = changed(name, lambda package: package.update(extra=Code(trace)))
    with pytest.raises(TagxaiError, match=f"{name} of .* is refused: .* could run code$"):
        AudioGenGenerator.load(folder)
    (tmp_path / name).write_bytes(pickle.dumps(Code(trace)))
    with pytest.raises(TagxaiError, match="is refused"):
        AudioGenGenerator.load(folder)
    assert not trace.exists()


def replaced(old, new):
    return lambda package: package.update({"xp.cfg": package["xp.cfg"].replace(old, new)})


LANGUAGE_MODEL, CODEC = "state_dict.bin", "compression_state_dict.bin"


@pytest.mark.parametrize(
    ("name", "edit", "sentence"),
    [
        (LANGUAGE_MODEL, lambda package: package["best_state"].update(more=torch.ones(1)), 'Unexpected key.*"more"'),
        (
            LANGUAGE_MODEL,
            lambda package: package["best_state"].popitem(),
            r"does not fit its own xp\.cfg: .*Missing key",
        ),
        (LANGUAGE_MODEL, lambda package: package.pop("best_state"), "no 'best_state' and 'xp.cfg'"),
        (
            LANGUAGE_MODEL,
            lambda package: package.update(pretrained="e") or package.pop("xp.cfg"),
            "no 'best_state' and",
        ),
        (LANGUAGE_MODEL, replaced("segment_duration: 3", "segment_duration: .nan"), "segment_duration = nan"),
        (CODEC, lambda package: package["best_state"].popitem(), "Missing key"),
        (CODEC, replaced("16000", "32000"), "do not fit: 32000 and 16000 Hz of sample rate"),
        (CODEC, replaced("n_q: 4", "n_q: 2"), "compression_state_dict.bin does not fit"),
        (LANGUAGE_MODEL, replaced("model: t5", "model: clap"), "conditions {'description': 'clap'}; tagxai supports"),
        (
            LANGUAGE_MODEL,
            replaced("lm_model: transformer_lm", "lm_model: transformer_lm_magnet"),
            "transformer_lm_magnet",
        ),
        (LANGUAGE_MODEL, replaced("normalize_text: false", "normalize_text: true"), "normalize_text"),
        (LANGUAGE_MODEL, replaced("t5-small", "tagxai-tests/no-t5"), "cannot load 'tagxai-tests/no-t5' .*no network"),
    ],
    ids=[
        "extra",
        "missing",
        "no_state",
        "no_cfg",
        "seconds",
        "codec",
        "rate",
        "codebooks",
        "clap",
        "magnet",
        "normalize_text",
        "no_t5",
    ],
)
def test_a_damaged_or_foreign_checkpoint_is_one_sentence(changed, name, edit, sentence):
    with pytest.raises(TagxaiError, match=sentence) as error:
        AudioGenGenerator.load(changed(name, edit))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"])
def test_a_file_that_torch_cannot_read_is_one_sentence(changed, content):
    folder = changed(CODEC, lambda package: None)
    with open(f"{folder}/{CODEC}", "wb") as file:
        file.write(content)
    with pytest.raises(TagxaiError, match=rf"^{CODEC} of .* is (damaged and cannot be read|refused)"):
        AudioGenGenerator.load(folder)


def test_a_missing_file_or_folder_is_one_sentence(tmp_path, audiocraft_model):
    (tmp_path / "state_dict.bin").symlink_to(audiocraft_model / "state_dict.bin")
    with pytest.raises(TagxaiError, match=r"does not hold an audiocraft model: it has no compression"):
        AudioGenGenerator.load(str(tmp_path))
    with pytest.raises(TagxaiError, match=r"expected a folder with audiocraft's state_dict\.bin"):
        AudioGenGenerator.load(str(tmp_path / "missing"))


def test_a_hub_model_without_network_or_cache_is_one_sentence():
    with pytest.raises(TagxaiError, match="no local copy, and no network"):
        AudioGenGenerator.load("tagxai-tests/no-such-model")


def test_without_audiocraft_loading_says_in_one_sentence_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "audiocraft.models", None)
    with pytest.raises(TagxaiError, match=r"'audiogen' needs audiocraft .*the extra tagxai\[audiocraft\]") as error:
        AudioGenGenerator.load()
    assert "\n" not in str(error.value)
