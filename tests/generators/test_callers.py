"""Threads and tasks that share one generator: benchmarks/callers.py on a small scale."""

import asyncio

import callers
import pytest
import torch

from tagxai.contract.attention import edit_attention, scale_values
from tagxai.probing.edits import Gate


@pytest.mark.parametrize("how", [callers.threads, callers.tasks])
@pytest.mark.parametrize("which", ["generator", "audiocraft_generator"])
def test_many_callers_get_what_one_caller_gets(which, how, request):
    wrong, _ = callers.measure(request.getfixturevalue(which), callers=4, calls=6, how=how)
    assert wrong == {}


@pytest.mark.parametrize("which", ["generator", "audiocraft_generator"])
def test_a_suspended_python_generator_that_holds_an_edit_does_not_change_its_caller(which, request):
    generator = request.getfixturevalue(which)
    clip = generator.generate("rain", duration=0.2)
    sites, closed = generator.cross_attention(), Gate(torch.zeros(clip.positions, len(clip.tokens)))

    def edited():
        with edit_attention(sites, closed), scale_values(sites, torch.full((1, len(clip.tokens)), 0.5)):
            while True:
                yield generator.forward(clip).log_prob

    async def asynchronously():
        with edit_attention(sites, closed):
            while True:
                yield generator.forward(clip).log_prob

    async def beside(iterator):
        return [await anext(iterator), generator.forward(clip).log_prob, await anext(iterator)]

    plain, suspended = generator.forward(clip).log_prob, edited()
    for one, between, other in (
        [next(suspended), generator.forward(clip).log_prob, next(suspended)],
        asyncio.run(beside(asynchronously())),
    ):
        assert torch.equal(between, plain)
        assert torch.equal(one, other)
        assert not torch.allclose(one, plain, atol=1e-3)
    suspended.close()
    assert torch.equal(generator.forward(clip).log_prob, plain)


@pytest.mark.parametrize("which", ["generator", "audiocraft_generator"])
def test_values_scaled_twice_are_scaled_by_both_and_once_each(which, request):
    generator = request.getfixturevalue(which)
    clip = generator.generate("rain", duration=0.2)
    sites, half = generator.cross_attention(), torch.full((1, len(clip.tokens)), 0.5)
    with scale_values(sites, half), scale_values(sites, half):
        twice = generator.forward(clip).log_prob
    with scale_values(sites, half / 2):
        torch.testing.assert_close(twice, generator.forward(clip).log_prob)
