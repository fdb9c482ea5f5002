"""A model that a library would fill up, or cut down, is refused."""

import pytest
from changed_weights import with_tensor, without_tensor
from transformers import GPT2Config, GPT2Model

from tagxai.contract.whole_weights import check_whole, read_whole
from tagxai.errors import TagxaiError

FILE = "model.safetensors"


@pytest.fixture
def folder(tmp_path):
    GPT2Model(GPT2Config(vocab_size=8, n_positions=4, n_embd=4, n_layer=1, n_head=1)).save_pretrained(tmp_path)
    return tmp_path


def test_a_whole_model_is_read(folder):
    assert read_whole(GPT2Model, str(folder)).config.n_embd == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without_tensor(FILE, "ln_f.bias"), "lacks 'ln_f.bias', so its weights do not fit its configuration"),
        (with_tensor(FILE), "has the unexpected 'superfluous.weight', so its weights do not fit its configuration"),
    ],
)
def test_a_tensor_too_few_or_too_many_is_refused(folder, change, sentence):
    change(folder)
    with pytest.raises(TagxaiError) as error:
        read_whole(GPT2Model, str(folder))
    assert str(error.value) == f"model {str(folder)!r} {sentence}"


def test_what_the_model_makes_itself_may_be_in_its_file(folder):
    with_tensor(FILE, "h.0.attn.bias")(folder)  # a mask, which earlier versions saved
    read_whole(GPT2Model, str(folder))


def test_others_of_the_kind_are_counted():
    loaded = {"missing_keys": ["b", "a"], "unexpected_keys": [], "mismatched_keys": [("c", (1,), (2,))]}
    with pytest.raises(TagxaiError, match=r"^model 'x' lacks 'a' and 1 more, so"):
        check_whole("x", loaded)
