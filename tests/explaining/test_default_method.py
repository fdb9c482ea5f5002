"""Which method explains where none is named, by what the generator offers."""

import pytest

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
