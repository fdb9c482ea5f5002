"""The self-test that a converted model carries."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tagxai.conversion import convert, converting
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.generators.audiocraft.model import AudioGenGenerator
from tagxai.generators.codes import self_test
from tagxai.generators.transformers.model import TransformersGenerator

pytest.importorskip("audiocraft")
from converted_models import assert_same, states

LANGUAGE_MODEL, CODEC, WEIGHTS = "state_dict.bin", "compression_state_dict.bin", "model.safetensors"


@pytest.mark.parametrize(
    "name", ["decoder.model.decoder.layers.1.encoder_attn.v_proj.weight", "enc_to_dec_proj.weight"]
)
def test_a_flipped_weight_is_found_when_a_converted_model_is_loaded(musicgen, tmp_path, name):
    copy = shutil.copytree(musicgen, tmp_path / "copy")
    tensors = load_file(copy / WEIGHTS)
    tensors[name][3, 5] *= -1
    save_file(tensors, copy / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(DamagedFileError, match=r"no longer holds the model that was converted: its logits") as error:
        TransformersGenerator.load(str(copy))
    assert "\n" not in str(error.value)


def test_a_codec_that_was_changed_is_found_too_under_audiocraft(musicgen, tmp_path):
    back = convert(str(musicgen), tmp_path / "back", to="audiocraft").folder
    package = torch.load(back / CODEC)
    package["best_state"]["decoder.model.3.convtr.convtr.weight_g"] *= 1.5
    torch.save(package, back / CODEC)
    with pytest.raises(DamagedFileError, match="its audio differ"):
        AudioGenGenerator.load(str(back))


def test_a_wrong_conversion_is_refused_and_nothing_is_written(audiocraft_model, tmp_path, monkeypatch):
    from tagxai.conversion import names

    monkeypatch.setattr(names, "_PARTS", {"q_proj": 0, "k_proj": 2, "v_proj": 1})
    with pytest.raises(TagxaiError, match=r"is not the model at .*: its logits differ by up to"):
        convert(str(audiocraft_model), tmp_path / "wrong", to="transformers")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [self_test.TENSORS, "logits"])
def test_a_self_test_that_is_not_whole_is_one_sentence(musicgen, tmp_path, missing):
    copy = shutil.copytree(musicgen, tmp_path / "copy")
    tensors = load_file(copy / self_test.TENSORS)
    (copy / self_test.TENSORS).unlink()
    if missing in tensors:
        del tensors[missing]
        save_file(tensors, copy / self_test.TENSORS)
    with pytest.raises(DamagedFileError, match=self_test.TENSORS):
        TransformersGenerator.load(str(copy))


def test_a_converted_model_loads_in_bfloat16(musicgen):
    assert TransformersGenerator.load(str(musicgen), dtype="bfloat16").dtype == torch.bfloat16


def test_without_audiocraft_a_model_is_converted_and_not_compared(audiocraft_model, musicgen, tmp_path, monkeypatch):
    monkeypatch.setattr(converting, "find_spec", lambda name: None)
    report = convert(str(audiocraft_model), tmp_path / "alone", to="transformers")
    assert report.differences is None
    assert not json.loads((tmp_path / "alone" / self_test.MANIFEST).read_text())["compared"]
    assert_same(states(tmp_path / "alone"), states(musicgen))
    TransformersGenerator.load(str(tmp_path / "alone"))
