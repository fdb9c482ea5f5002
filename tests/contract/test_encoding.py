"""The encoding of a clip's prompt is remembered, but not for weights that have changed since."""

import torch

from tagxai.contract.encoding import conditioning_of


def test_an_encoding_is_remembered_until_a_weight_is_changed_in_place(generator, generation):
    first = conditioning_of(generator, generation)
    assert conditioning_of(generator, generation) is first
    weight = next(weight for module in generator.modules().values() for weight in module.parameters())
    with torch.no_grad():
        weight.mul_(1)  # the same number, but who knows
    assert conditioning_of(generator, generation) is not first
