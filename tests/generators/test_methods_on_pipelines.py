"""Every method that runs on a model that denoises latents keeps its contract there; `pytest -m slow -rs` says which."""

from functools import cache

import pytest
from families import answer, own_methods, pipelines, quick
from small_latent import small_latent
from small_pipelines import stable_audio_3

from tagxai.generators.diffusers.stable_audio_3 import StableAudio3Generator
from tagxai.testing import check_method

SMALL_3 = "stable_audio_3, small"
LEAST = {"latent": 22, "stable_audio": 22, "stable_audio_3": 18, SMALL_3: 18, "ace_step": 18, "audioldm2": 18}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Should have t:UserWarning"),  # of diffusers' own noise
]


@cache
def models():
    plain = StableAudio3Generator(stable_audio_3(differential=False))
    plain.default_denoising_steps = 8
    return pipelines() | {SMALL_3: plain, "latent": small_latent()}


@cache
def said(kind, name):
    model = models()[kind]
    return answer(name, model, model.generate("a dog barks", duration=0.2, seed=1))


@pytest.mark.parametrize("name", own_methods())
@pytest.mark.parametrize("kind", LEAST)
def test_a_method_that_runs_keeps_its_contract(kind, name):
    if said(kind, name) != "yes":
        pytest.skip(said(kind, name))
    check_method(quick(name), models()[kind], prompts=("a dog barks", "thunder"), duration=0.2)


@pytest.mark.parametrize("kind", LEAST)
def test_enough_methods_run(kind):
    assert sum(said(kind, name) == "yes" for name in own_methods()) >= LEAST[kind]
