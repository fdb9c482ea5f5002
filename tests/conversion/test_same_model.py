"""The same tensors bit for bit, and the same model under both backends."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tagxai.conversion import convert
from tagxai.generators.audiocraft.model import AudiocraftMusicGenGenerator, AudioGenGenerator
from tagxai.generators.codes import self_test
from tagxai.generators.tiny import WEIGHTS as WEIGHTS_OF_TINY
from tagxai.generators.tiny import TinyGenerator
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing import check_generator, random_checkpoint

pytest.importorskip("audiocraft")
from converted_models import assert_same, states

PROMPT = "a dog barks while rain falls"
LANGUAGE_MODEL, CODEC, WEIGHTS = "state_dict.bin", "compression_state_dict.bin", "model.safetensors"


def load_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "backend_parity.py"
    spec = importlib.util.spec_from_file_location("backend_parity", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_audiocraft_to_transformers_and_back_is_bit_for_bit(musicgen, audiocraft_model, tmp_path):
    report = convert(str(musicgen), tmp_path / "back", to="audiocraft")
    assert_same(states(report.folder), states(audiocraft_model))
    assert report.tensors == len(load_file(musicgen / WEIGHTS))
    assert max(report.differences.values()) < self_test.TOLERANCE


def test_transformers_to_audiocraft_and_back_is_bit_for_bit(audiogen, random_model, tmp_path):
    back = convert(str(audiogen), tmp_path / "back", to="transformers").folder
    assert_same(states(back), states(random_model))
    for part in ("text_encoder", "audio_encoder", "decoder"):
        ours, theirs = (json.loads((place / "config.json").read_text())[part] for place in (back, random_model))
        different = {key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]}
        assert different <= {"initializer_factor"}  # which only training reads


def test_half_precision_stays_what_it_is(random_model, tmp_path):
    source = shutil.copytree(random_model, tmp_path / "half")
    half = {name: tensor.half() for name, tensor in load_file(source / WEIGHTS).items()}
    save_file(half, source / WEIGHTS, metadata={"format": "pt"})
    convert(str(source), tmp_path / "audiocraft", to="audiocraft")
    convert(str(tmp_path / "audiocraft"), tmp_path / "back", to="transformers")
    assert_same(load_file(tmp_path / "back" / WEIGHTS), half)


def test_stereo_converts_both_ways(tmp_path):
    source = random_checkpoint(tmp_path / "stereo", channels=2)
    convert(str(source), tmp_path / "audiocraft", to="audiocraft")
    assert AudiocraftMusicGenGenerator.load(str(tmp_path / "audiocraft")).delays == (0, 0, 1, 1, 2, 2, 3, 3)
    convert(str(tmp_path / "audiocraft"), tmp_path / "back", to="transformers")
    assert_same(states(tmp_path / "back"), states(source))


def test_a_musicgen_whose_file_names_its_codec_converts_too(musicgen, audiocraft_model, tmp_path):
    source = shutil.copytree(audiocraft_model, tmp_path / "source")
    TransformersGenerator.load(str(musicgen)).model.audio_encoder.save_pretrained(source / "encodec")
    torch.save({"pretrained": "encodec"}, source / CODEC)
    converted = convert(str(source), tmp_path / "converted", to="transformers").folder
    assert_same(states(converted), states(musicgen))


def test_names_of_earlier_versions_and_shards_are_read(random_model, audiogen, tmp_path):
    source = shutil.copytree(random_model, tmp_path / "source")
    earlier = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in load_file(source / WEIGHTS).items()
    }
    earlier["decoder.model.decoder.embed_positions.weights"] = torch.ones(80, 32)
    save_file(dict(list(earlier.items())[:70]), source / "1.safetensors", {"format": "pt"})
    save_file(dict(list(earlier.items())[70:]), source / "2.safetensors", {"format": "pt"})
    (source / WEIGHTS).unlink()
    place = {name: "1.safetensors" if i < 70 else "2.safetensors" for i, name in enumerate(earlier)}
    (source / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))
    converted = convert(str(source), tmp_path / "converted", to="audiocraft").folder
    assert_same(states(converted), states(audiogen))


@pytest.mark.parametrize("start", ["transformers", "audiocraft"])
def test_both_backends_agree_on_a_converted_model(start, random_model, audiogen, musicgen, audiocraft_model):
    folders = (random_model, audiogen) if start == "transformers" else (musicgen, audiocraft_model)
    both = [
        cls.load(str(place)) for cls, place in zip((TransformersGenerator, AudioGenGenerator), folders, strict=True)
    ]
    parity = load_benchmark()
    prompts = (PROMPT, "a bell")
    differences = parity.compare(*both, prompts, duration=0.6)
    assert not parity.broken(differences), "\n".join(parity.table(differences))
    for attribute in ("sample_rate", "frame_rate", "delays", "pad", "max_frames"):
        assert getattr(both[0], attribute) == getattr(both[1], attribute)


def test_both_backends_agree_on_the_embedded_model(tmp_path):
    """In which, unlike in an untrained model, AudioGenX learns more than its penalty on masks."""
    converted = convert(str(WEIGHTS_OF_TINY), tmp_path / "tiny", to="audiocraft").folder
    parity, both = load_benchmark(), (TinyGenerator.load(), AudioGenGenerator.load(str(converted)))
    differences = parity.compare(*both, [PROMPT], duration=0.4)
    assert not parity.broken(differences), "\n".join(parity.table(differences))


def test_the_benchmark_sees_that_a_model_is_another(random_model, tmp_path):
    other = TransformersGenerator.load(str(random_checkpoint(tmp_path, seed=1)))
    parity, first = load_benchmark(), TransformersGenerator.load(str(random_model))
    assert not parity.broken(parity.compare(first, first, [PROMPT], duration=0.4))
    found = parity.broken(parity.compare(first, other, [PROMPT], duration=0.4))
    assert {"logits", "hidden states", "cross-attention", "greedy codes", "sampled codes", "masked codes"} <= set(found)


def test_a_converted_audiogen_keeps_the_contract_of_generators(musicgen):
    check_generator(TransformersGenerator.load(str(musicgen)))


def test_audiocrafts_own_loader_reads_what_was_converted(musicgen, tmp_path, monkeypatch):
    """With a text encoder whose name it knows, which it then finds in the working directory."""
    from audiocraft.models import AudioGen

    back = convert(str(musicgen), tmp_path / "back", to="audiocraft").folder
    monkeypatch.chdir(back)
    model = AudioGen.get_pretrained(str(back), device="cpu")
    ours = TransformersGenerator.load(str(musicgen))
    clip = ours.generate(PROMPT, duration=0.4)
    expected = model.compression_model.decode(clip.record["codes"][None])[0]
    torch.testing.assert_close(clip.waveform, expected, atol=1e-5, rtol=1e-5)
