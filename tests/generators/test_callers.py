"""Threads and tasks that share one generator: benchmarks/callers.py on a small scale."""

import callers
import pytest
import torch

from tagxai.contract.attention import scale_values


@pytest.mark.parametrize("how", [callers.threads, callers.tasks])
@pytest.mark.parametrize("which", ["generator", "audiocraft_generator"])
def test_many_callers_get_what_one_caller_gets(which, how, request):
    wrong, _ = callers.measure(request.getfixturevalue(which), callers=4, calls=6, how=how)
    assert wrong == {}


@pytest.mark.parametrize("which", ["generator", "audiocraft_generator"])
def test_values_scaled_twice_are_scaled_by_both_and_once_each(which, request):
    generator = request.getfixturevalue(which)
    clip = generator.generate("rain", duration=0.2)
    sites, half = generator.cross_attention(), torch.full((1, len(clip.tokens)), 0.5)
    with scale_values(sites, half), scale_values(sites, half):
        twice = generator.forward(clip).log_prob
    with scale_values(sites, half / 2):
        torch.testing.assert_close(twice, generator.forward(clip).log_prob)
