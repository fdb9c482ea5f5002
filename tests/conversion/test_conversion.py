"""The converter: the same tensors bit for bit, the same model under both backends, and one sentence for all else."""

import importlib.util
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from tagxai.cli import app
from tagxai.conversion import convert, converting, xp_cfg
from tagxai.errors import DamagedFileError, TagxaiError, UnsupportedError
from tagxai.generators.audiocraft.model import AudiocraftMusicGenGenerator, AudioGenGenerator
from tagxai.generators.codes import self_test
from tagxai.generators.tiny import WEIGHTS as WEIGHTS_OF_TINY
from tagxai.generators.tiny import TinyGenerator
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing import check_generator, random_checkpoint

pytest.importorskip("audiocraft")

PROMPT = "a dog barks while rain falls"
LANGUAGE_MODEL, CODEC, WEIGHTS = "state_dict.bin", "compression_state_dict.bin", "model.safetensors"


def load_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "backend_parity.py"
    spec = importlib.util.spec_from_file_location("backend_parity", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def states(folder):
    """All tensors of a checkpoint of either format."""
    tensors = {}
    for path in sorted(folder.rglob("*.safetensors")):
        if path.name != self_test.TENSORS:
            tensors |= {(str(path.relative_to(folder)), name): value for name, value in load_file(path).items()}
    for path in sorted(folder.glob("*.bin")):
        state = torch.load(path, weights_only=True)["best_state"]
        tensors |= {(path.name, name): value for name, value in state.items()}
    return tensors


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(scope="module")
def musicgen(folder, audiocraft_model):
    """The audiocraft checkpoint in transformers format."""
    return convert(str(audiocraft_model), folder / "musicgen", to="transformers").folder


@pytest.fixture(scope="module")
def audiogen(folder, random_model):
    """The transformers checkpoint in audiocraft format."""
    return convert(str(random_model), folder / "audiogen", to="audiocraft").folder


# -- the same model --------------------------------------------------------------------------------------------------


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


# -- the self-test ---------------------------------------------------------------------------------------------------


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


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def changed(tmp_path, audiocraft_model):
    """A function that changes one file of a copy of the audiocraft checkpoint, and gives the copy's folder."""
    copy = shutil.copytree(audiocraft_model, tmp_path / "changed")

    def change(name, edit):
        package = torch.load(copy / name)
        edit(package)
        torch.save(package, copy / name)
        return str(copy)

    return change


def refused(source, to, sentence, kind=TagxaiError):
    """Converting raises one sentence, and leaves nothing beside the source."""
    target = Path(source).parent / "target"
    before = sorted(target.parent.iterdir())
    with pytest.raises(kind, match=sentence) as error:
        convert(str(source), target, to=to)
    assert "\n" not in str(error.value)
    assert sorted(target.parent.iterdir()) == before


def replaced(old, new):
    def edit(package):
        assert old in package["xp.cfg"]
        package["xp.cfg"] = package["xp.cfg"].replace(old, new)

    return edit


def state(change):
    return lambda package: change(package["best_state"])


class Code:
    """A pickle of this runs code: it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", [LANGUAGE_MODEL, CODEC])
def test_a_pickle_with_code_is_refused_and_not_run(changed, tmp_path, name):
    trace = tmp_path / "trace"
    source = changed(name, lambda package: package.update(extra=Code(trace)))
    refused(source, "transformers", f"{name} of .* is refused: .* could run code$")
    Path(source, name).write_bytes(pickle.dumps(Code(trace)))
    refused(source, "transformers", "is refused")
    assert not trace.exists()


def test_code_in_the_text_encoder_is_not_run_either(changed, tmp_path):
    trace, source = tmp_path / "trace", Path(changed(CODEC, lambda package: None))
    (source / "t5-small" / WEIGHTS).unlink()
    torch.save({"shared.weight": Code(trace)}, source / "t5-small" / "pytorch_model.bin")
    refused(source, "transformers", "does not hold a T5 text encoder")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "edit", "sentence"),
    [
        (LANGUAGE_MODEL, state(lambda s: s.update(more=torch.ones(1))), "language model .* has the unexpected 'more'$"),
        (
            LANGUAGE_MODEL,
            state(lambda s: s.pop("emb.1.weight")),
            "language model does not fit .* lacks 'emb.1.weight'$",
        ),
        (CODEC, state(lambda s: s.pop("decoder.model.9.conv.conv.bias")), "codec does not fit .* lacks 'decoder.model"),
        (
            LANGUAGE_MODEL,
            state(lambda s: s.update({"emb.0.weight": torch.ones(3, 32)})),
            r"emb.0.weight of the language model .* is \(3, 32\), expected \(65, 32\)",
        ),
        (LANGUAGE_MODEL, lambda package: package.pop("best_state"), "no 'best_state' and 'xp.cfg'"),
        (LANGUAGE_MODEL, lambda package: package.update({"xp.cfg": "a: ["}), "not the YAML of settings"),
        (LANGUAGE_MODEL, replaced("hidden_scale: 2", "hidden_scale: 4"), r"linear1.weight .* expected \(128, 32\)"),
        (CODEC, replaced("16000", "32000"), "do not fit: 32000 and 16000 Hz of sample rate"),
        (CODEC, replaced("n_q: 4", "n_q: 2"), "do not fit: 2 and 4 codebooks"),
        (CODEC, replaced("bins: 64", "bins: 32"), "do not fit: 32 and 64 codes in a codebook"),
        (CODEC, replaced("norm: weight_norm", "norm: time_group_norm"), "seanet.norm = 'time_group_norm'"),
        (LANGUAGE_MODEL, replaced("model: t5", "model: clap"), "conditions {'description': 'clap'}"),
        (LANGUAGE_MODEL, replaced("bias_ff: false", "bias_ff: true"), "transformer_lm.bias_ff = True"),
        (LANGUAGE_MODEL, replaced("norm_first: true", "norm_first: false"), "transformer_lm.norm_first = False"),
        (LANGUAGE_MODEL, replaced("positional_embedding: sin", "positional_embedding: rope"), "= 'rope'"),
        (LANGUAGE_MODEL, replaced("normalize_text: false", "normalize_text: true"), "normalize_text"),
        (LANGUAGE_MODEL, replaced("t5-small", "tagxai-tests/no-t5"), "cannot load 'tagxai-tests/no-t5' .*no network"),
        (LANGUAGE_MODEL, replaced("num_heads: 4", "heads: 4"), "xp.cfg has no transformer_lm.num_heads"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_audiocraft_checkpoint_that_does_not_fit_is_one_sentence(changed, name, edit, sentence):
    refused(changed(name, edit), "transformers", sentence)


def test_a_missing_file_or_folder_is_one_sentence(changed, tmp_path):
    source = Path(changed(CODEC, lambda package: None))
    (source / CODEC).unlink()
    refused(source, "transformers", "does not hold an audiocraft model: it has no compression")
    refused(tmp_path / "none", "transformers", r"expected a folder with audiocraft's state_dict\.bin")
    refused(tmp_path / "none", "audiocraft", "expected a folder in transformers format")
    refused(source, "audiocraft", "does not hold a MusicGen model")


def test_a_transformers_checkpoint_that_does_not_fit_is_one_sentence(random_model, tmp_path):
    copy = shutil.copytree(random_model, tmp_path / "copy")
    tensors, config = load_file(copy / WEIGHTS), json.loads((copy / "config.json").read_text())
    head = "decoder.lm_heads.0.weight"

    def with_tensors(changes):
        save_file({k: v for k, v in (tensors | changes).items() if v is not None}, copy / WEIGHTS, {"format": "pt"})
        return copy

    for changes, sentence in (
        ({"more": torch.ones(1)}, "has the unexpected 'more'"),
        ({head: None}, f"lacks '{head}'"),
    ):
        refused(with_tensors(changes), "audiocraft", sentence)
        with pytest.raises(TagxaiError, match=sentence):
            TransformersGenerator.load(str(copy))
    refused(with_tensors({head: torch.ones(3, 32)}), "audiocraft", r"it is \(3, 32\), expected \(64, 32\)")
    with pytest.raises(TagxaiError, match=f"has, of another shape, '{head}'"):
        TransformersGenerator.load(str(copy))

    with_tensors({})
    for part, changes, kind, sentence in (
        ("decoder", {"num_codebooks": 8}, TagxaiError, "do not fit: 4 and 8 codebooks"),
        ("decoder", {"scale_embedding": True}, UnsupportedError, "scaled embeddings"),
        ("audio_encoder", {"codebook_size": 32}, TagxaiError, "do not fit"),
        ("audio_encoder", {"chunk_length_s": 1.0}, UnsupportedError, "chunks"),
    ):
        (copy / "config.json").write_text(json.dumps(config | {part: config[part] | changes}))
        refused(copy, "audiocraft", sentence, kind)
    (copy / "config.json").write_text(json.dumps(config))
    (copy / WEIGHTS).write_bytes(b"no tensors")
    refused(copy, "audiocraft", "damaged and cannot be read")
    (copy / WEIGHTS).unlink()
    refused(copy, "audiocraft", f"has no {WEIGHTS}")
    trace = tmp_path / "trace"
    torch.save({"more": Code(trace)}, copy / "pytorch_model.bin")
    with pytest.raises(TagxaiError, match=r"does not hold a MusicGen model: .* could run code$"):
        TransformersGenerator.load(str(copy))
    assert not trace.exists()


def test_a_target_that_is_there_is_left_as_it_is(random_model, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(TagxaiError, match="already exists; give a folder that is new or empty"):
        convert(str(random_model), tmp_path, to="audiocraft")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_folders_that_a_failed_conversion_made_are_gone(tmp_path):
    with pytest.raises(TagxaiError, match="no model at"):
        convert("./none", tmp_path / "more" / "and" / "more", to="audiocraft")
    assert not list(tmp_path.iterdir())


def test_a_target_may_be_a_link_or_the_working_directory(random_model, audiogen, tmp_path, monkeypatch):
    for name in ("linked", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("linked")
    monkeypatch.chdir(tmp_path / "here")
    for target in (tmp_path / "link", Path()):
        convert(str(random_model), target, to="audiocraft")
    assert (tmp_path / "link").is_symlink()
    for name in ("linked", "here"):
        assert_same(states(tmp_path / name), states(audiogen))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "link", "linked"]


def test_settings_that_refer_to_others_are_followed(changed, musicgen, tmp_path):
    """As the released configurations are written."""
    changed(CODEC, replaced("quantizer: rvq\n  sample_rate: 16000", "quantizer: rvq\n  sample_rate: ${sample_rate}"))
    changed(LANGUAGE_MODEL, replaced("card: 64", "card: ${rvq.bins}\n  q_modeling: delay"))
    source = changed(LANGUAGE_MODEL, replaced("modeling: delay\n  delay", "modeling: null\n  delay"))
    assert_same(states(convert(source, tmp_path / "out", to="transformers").folder), states(musicgen))
    circle = xp_cfg.parse("{a: '${b}', b: '${a}'}", LANGUAGE_MODEL)
    with pytest.raises(TagxaiError, match=r"^xp\.cfg refers in a circle at [ab]$"):
        xp_cfg.get(circle, "a")


# -- the command -----------------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)], prog_name="tagxai")


def test_the_command_converts_and_says_how_close(random_model, tmp_path):
    result = run(random_model, tmp_path / "out", "--to", "audiocraft")
    assert result.exit_code == 0, result.output
    assert not result.stderr
    assert "wrote 147 tensors to" in result.output
    assert "largest differences: logits " in result.output
    assert (tmp_path / "out" / LANGUAGE_MODEL).is_file()


def test_the_command_says_in_one_sentence_what_went_wrong(tmp_path):
    result = run(tmp_path / "none", tmp_path / "out", "--to", "transformers")
    assert result.exit_code == 2
    assert "expected a folder with audiocraft's" in result.output
    assert run(tmp_path, tmp_path / "out", "--to", "elsewhere").exit_code == 2
