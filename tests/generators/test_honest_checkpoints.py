"""A checkpoint that is not what it says is refused in one sentence, before a model is built of it."""

import json
import shutil

import pytest
import torch
from changed_weights import without_tensor

from tagxai import TagxaiError
from tagxai.generators.transformers import model as transformers_model
from tagxai.generators.transformers.model import TransformersGenerator


@pytest.fixture
def copy(random_model, tmp_path):
    return shutil.copytree(random_model, tmp_path / "model")


def config(name="config.json", **changes):
    """A change to a JSON file; `decoder__x=1` sets x of the table `decoder`, None removes it."""

    def change(folder):
        file = folder / name
        content = json.loads(file.read_text())
        for key, value in changes.items():
            *tables, last = key.split("__")
            table = content
            for each in tables:
                table = table[each]
            if value is None:
                table.pop(last)
            else:
                table[last] = value
        file.write_text(json.dumps(content))

    return change


def without_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def cut(name, keep):
    def change(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: keep(len(content))])

    return change


def replaced(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def vocabulary(pieces):
    def change(folder):
        file = folder / "tokenizer.json"
        content = json.loads(file.read_text())
        content["model"]["vocab"] = pieces(content["model"]["vocab"])
        file.write_text(json.dumps(content))

    return change


def index_of(name):
    """An index instead of the one file of weights."""

    def change(folder):
        (folder / "model.safetensors").rename(folder / "model-00001.safetensors")
        index = {"metadata": {}, "weight_map": {"decoder.lm_heads.0.weight": name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


BEFORE_ANY_WORK = [
    (config("tokenizer_config.json", tokenizer_class="NoSuchTokenizer"), "tokenizer_class = 'NoSuchTokenizer'"),
    (config("tokenizer_config.json", tokenizer_class="NoSuchTokenizerFast"), "tokenizer_class = 'NoSuchTokenizerFast'"),
    (config("tokenizer_config.json", tokenizer_class="T5Model"), "tokenizer_class = 'T5Model'; expected a tokenizer"),
    (config("tokenizer_config.json", tokenizer_class="os.system"), "tokenizer_class = 'os.system'"),
    (config("tokenizer_config.json", tokenizer_class=""), "tokenizer_class = ''"),
    (config("tokenizer_config.json", tokenizer_class=["T5Tokenizer"]), "tokenizer_class = "),
    (config(tokenizer_class="T5Tokeniser"), "its config.json has tokenizer_class = 'T5Tokeniser'"),
    (without_tokenizer, "it has no tokenizer"),
    (config(decoder__num_hidden_layers=1), "num_hidden_layers is 1, but the weights have 2 layers"),
    (config(decoder__num_hidden_layers=3), "num_hidden_layers is 3, but the weights have 2 layers"),
    (config(decoder__num_hidden_layers=10_000_000), "num_hidden_layers is 10000000; expected a number of at most"),
    (config(decoder__num_hidden_layers=0), "num_hidden_layers is 0; expected a whole number above 0"),
    (config(decoder__num_hidden_layers="2"), "num_hidden_layers is '2'; expected a whole number"),
    (config(text_encoder__num_layers=1), "num_layers is 1, but the weights have 2 layers"),
    (config(text_encoder__num_layers=999_999), "num_layers is 999999, but the weights have 2 layers"),
    (config(text_encoder__d_model=900_000), "but the weights have it as"),
    (config(decoder__ffn_dim=900_000), "but the weights have it as"),
    (config(decoder__pad_token_id=65), "pad_token_id is 65; expected one of 0 to 64"),
    (config(decoder__pad_token_id=-1), "pad_token_id is -1; expected one of 0 to 64"),
    (config(decoder__max_position_embeddings=1e12), "max_position_embeddings is 1000000000000.0; expected"),
    (config(decoder__layerdrop=float("nan")), "layerdrop is nan; expected a number"),
    (config(audio_encoder__sampling_rate=0), "sampling_rate is 0; expected a whole number above 0"),
    (config(audio_encoder__upsampling_ratios=[10, 10**9]), "upsampling_ratios[1] is 1000000000; expected"),
    (config(audio_encoder__num_filters=500_000), "but the weights have it as"),
    (config(audio_encoder__codebook_size=32), "but the weights have it as"),
    (config(decoder=7), "config.json has decoder = 7; expected a table"),
    (replaced("config.json", b"[" * 100_000), "its config.json is damaged"),
    (replaced("generation_config.json", b""), "its generation_config.json is damaged: it is not JSON"),
    (replaced("generation_config.json", b"[" * 100_000), "its generation_config.json is damaged: it is not JSON"),
    (
        replaced("generation_config.json", "{}".encode("utf-16")),
        "its generation_config.json is damaged: it is not JSON",
    ),
    (cut("generation_config.json", lambda size: size // 2), "its generation_config.json is damaged: it is not JSON"),
    (replaced("generation_config.json", b"null"), "its generation_config.json is damaged: it holds no JSON object"),
    (replaced("tokenizer_config.json", b""), "its tokenizer_config.json is damaged: it is not JSON"),
    (replaced("tokenizer.json", b"[]"), "its tokenizer.json is damaged: it holds no JSON object"),
    (cut("model.safetensors", lambda size: size - 1), "it was cut short or added to"),
    (cut("model.safetensors", lambda size: size // 2), "it was cut short or added to"),
    (cut("model.safetensors", lambda size: 100), "its header is incomplete"),
    (cut("model.safetensors", lambda size: 0), "its header is incomplete"),
    (replaced("model.safetensors", b"\xff" * 64), "its header is incomplete"),
    (index_of("model-00002.safetensors"), "it has no model-00002.safetensors, which its index names"),
    (index_of("../model.safetensors"), "does not map tensors to files in the folder"),
]


@pytest.mark.parametrize(("change", "sentence"), BEFORE_ANY_WORK)
def test_a_folder_that_claims_too_much_is_one_sentence_and_no_model_is_built(copy, change, sentence, monkeypatch):
    monkeypatch.setattr(transformers_model, "quiet", lambda: pytest.fail("a model was built"))
    change(copy)
    with pytest.raises(TagxaiError, match=r"^[^\n]*$") as error:
        TransformersGenerator.load(str(copy))
    assert sentence in str(error.value)
    assert str(copy) in str(error.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (config(decoder__pad_token_id=None), "pad_token_id is 2048; expected one of 0 to 64"),  # transformers' default
        (vocabulary(lambda pieces: pieces[:3]), "its tokenizer is empty"),
        (vocabulary(lambda pieces: [*pieces, ["zebra", -4.0]]), "its text encoder only embeds those below"),
        (config("tokenizer_config.json", pad_token=None), "its tokenizer pads with token None"),
        (config("generation_config.json", temperature=-1.0), "temperature must be a number of at least 0, not -1"),
        (config("generation_config.json", top_k="many"), ""),
        (config("generation_config.json", guidance_scale=float("nan")), "guidance_scale must be a number"),
    ],
)
def test_what_only_a_loaded_model_shows_is_one_sentence_too(copy, change, sentence):
    change(copy)
    with pytest.raises(TagxaiError, match=r"^[^\n]*$") as error:
        TransformersGenerator.load(str(copy))
    assert sentence in str(error.value)


def of_language_model(section, **changes):
    return "state_dict.bin", section, changes


AUDIOCRAFT = [
    (of_language_model("transformer_lm", num_layers=1), "num_layers is 1, but the weights have 2 layers"),
    (
        of_language_model("transformer_lm", num_layers=10_000_000),
        "num_layers is 10000000; expected a number of at most",
    ),
    (of_language_model("transformer_lm", num_layers=500_000), "num_layers is 500000, but the weights have 2 layers"),
    (of_language_model("transformer_lm", dim=400_000), "but the weights have it as"),
    (of_language_model("transformer_lm", hidden_scale=100_000), "but the weights have it as"),
    (of_language_model("transformer_lm", card=100_000), "but the weights have it as"),
    (of_language_model("transformer_lm", n_q=2), "n_q is 2, but the weights have 4 layers"),
    (("compression_state_dict.bin", "rvq", {"bins": 900_000}), "but the weights have it as"),
    (("compression_state_dict.bin", "seanet", {"n_filters": 10**9}), "n_filters is 1000000000; expected"),
]


@pytest.mark.parametrize(("edit", "sentence"), AUDIOCRAFT)
def test_an_audiocraft_checkpoint_that_claims_too_much_is_one_sentence(audiocraft_model, tmp_path, edit, sentence):
    from omegaconf import OmegaConf

    from tagxai.generators.audiocraft.model import AudioGenGenerator

    name, section, changes = edit
    copy = shutil.copytree(audiocraft_model, tmp_path / "model")
    package = torch.load(copy / name, weights_only=True)
    config = OmegaConf.create(package["xp.cfg"])
    config[section].update(changes)
    torch.save(package | {"xp.cfg": OmegaConf.to_yaml(config)}, copy / name)
    with pytest.raises(TagxaiError, match=r"^[^\n]*$") as error:
        AudioGenGenerator.load(str(copy))
    assert sentence in str(error.value)


FINAL_NORM = "encoder.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without_tokenizer, "it has no tokenizer"),
        (config(num_layers=7), "num_layers is 7, but the weights have 1 layers"),
        (config(d_model=10**9), "d_model is 1000000000; expected"),
        (cut("model.safetensors", lambda size: size - 8), "it was cut short or added to"),
        (without_tensor("model.safetensors", FINAL_NORM), f"lacks '{FINAL_NORM}', so its weights do not fit"),
    ],
)
def test_the_text_encoder_beside_an_audiocraft_checkpoint_is_looked_at_too(
    audiocraft_model, tmp_path, change, sentence
):
    from tagxai.generators.audiocraft.model import AudioGenGenerator

    copy = shutil.copytree(audiocraft_model, tmp_path / "model")
    change(copy / "t5-small")
    with pytest.raises(TagxaiError, match=r"^[^\n]*$") as error:
        AudioGenGenerator.load(str(copy))
    assert sentence in str(error.value)
