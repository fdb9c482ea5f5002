"""What lets a GPU run ahead of the host gives the same numbers as what it stands in for."""

from types import SimpleNamespace

import pytest
import torch
from transformers.cache_utils import DynamicLayer

from tagxai.contract.finite import FiniteSteps, is_finite
from tagxai.errors import TagxaiError
from tagxai.generators.codes.sampling import draw
from tagxai.generators.transformers.growing_cache import GrowingLayer


@pytest.mark.parametrize("seed", range(20))
def test_codes_are_drawn_as_multinomial_draws_them(seed):
    logits = 3 * torch.randn(4, 50, generator=torch.Generator().manual_seed(seed))
    shares = (logits - logits.amax(-1, keepdim=True)).softmax(-1)
    expected = torch.multinomial(shares, 1, generator=torch.Generator().manual_seed(seed))[:, 0]
    assert draw(logits, 0, 1.0, torch.Generator().manual_seed(seed)).tolist() == expected.tolist()
    together = draw(logits[None].expand(2, -1, -1), 0, 1.0, [torch.Generator().manual_seed(n) for n in (99, seed)])
    assert together[1].tolist() == expected.tolist()


@pytest.mark.parametrize("at_a_time", [1, 3, 140])
def test_keys_and_values_that_grow_in_place_are_those_that_are_joined(at_a_time):
    joined, growing = DynamicLayer(), GrowingLayer()
    for start in range(0, 280, at_a_time):
        new = [torch.full((2, 3, at_a_time, 4), float(start + side)) for side in (0, 1000)]
        expected, found = joined.update(*new), growing.update(*new)
        assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
        assert growing.get_seq_length() == joined.get_seq_length()
        assert growing.get_mask_sizes(1) == joined.get_mask_sizes(1)


@pytest.mark.parametrize(("broken", "asked"), [(3, 32), (40, 64)])
def test_away_from_a_cpu_a_step_that_is_not_finite_is_named_when_it_is_asked_for(broken, asked):
    model = SimpleNamespace(name="far", device=torch.device("cuda"), modules=dict)
    steps = FiniteSteps(model, "logits")
    for step in range(asked - 1):
        steps.see(torch.tensor([1.0, float("nan") if step == broken else 0.0]), step)
    with pytest.raises(TagxaiError, match=rf"generator 'far' computed logits at step {broken} that are not finite"):
        steps.see(torch.zeros(2), asked - 1)


def test_steps_left_over_at_the_end_are_asked_for():
    steps = FiniteSteps(SimpleNamespace(name="far", device=torch.device("cuda"), modules=dict), "latents")
    steps.see(torch.tensor(float("inf")), 0)
    with pytest.raises(TagxaiError, match="latents at step 0"):
        steps.check()
    steps.check()


@pytest.mark.parametrize("place", [0, 1])
def test_a_number_that_is_not_finite_is_seen_beside_tensors_of_other_devices(place):
    tensors = [torch.tensor([1.0, float("nan")])]
    tensors.insert(place, torch.zeros(2, device="meta"))
    assert not is_finite(*tensors)
