"""Which method explains where none is named, by what the generator offers."""

import pytest

from tagxai.contract.attention import AttentionSite
from tagxai.errors import UnsupportedError
from tagxai.explaining.default_method import default_method
from tagxai.explaining.loading import make_method
from tagxai.registering.registry import registry


def offering(*capabilities, own=None):
    base = registry().generator("tiny")
    return type("Other", (base,), {"offers": frozenset(capabilities), "default_method": own})


@pytest.mark.parametrize(
    ("generator", "name", "beside"),
    [
        (registry().generator("tiny"), "share_x_effect", None),
        (offering("attention"), "share_x_effect", None),
        (offering("gradients"), "occlusion", 3),
        (offering("attention", own="shapley"), "shapley", None),
    ],
)
def test_attention_takes_share_x_effect_and_its_absence_the_effects_alone(generator, name, beside):
    found, settings = default_method(generator)
    assert found == name
    method = make_method(found, settings)
    assert getattr(method, "beside", None) == beside
    if beside:
        assert method.operator == "delete"


def test_a_loaded_model_that_does_not_show_its_layers_takes_effects_alone(random_model, monkeypatch):
    model = registry().generator("musicgen").load(str(random_model))
    assert default_method(model)[0] == "share_x_effect"
    monkeypatch.setattr(type(model.cross_attention()[0]), "block", AttentionSite.block)
    assert default_method(model) == ("occlusion", {"operator": "delete", "beside": "3"})
    with pytest.raises(UnsupportedError, match="such as 'shapley', do without"):
        make_method("share_x_effect", {}).check_supported(model)
