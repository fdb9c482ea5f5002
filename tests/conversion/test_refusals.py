"""What cannot be converted is one sentence, and leaves nothing behind; and the command."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from tagxai.cli import app
from tagxai.conversion import convert, xp_cfg
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.transformers.model import TransformersGenerator

pytest.importorskip("audiocraft")
from converted_models import assert_same, states

LANGUAGE_MODEL, CODEC, WEIGHTS = "state_dict.bin", "compression_state_dict.bin", "model.safetensors"


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
