"""Several clips of latents at a time: each the one that is made alone, whatever they share."""

import random
from dataclasses import replace

import torch

from tagxai.contract.attention import edit_attention
from tagxai.contract.request import Request
from tagxai.generators.latents import batches, denoising
from tagxai.probing.edits import Capture

PROMPT = "a dog barks while rain falls"


def mix(seed, count=8):
    """Requests that differ in all that they can."""
    drawn, requests = random.Random(seed), []
    for number in range(count):
        prompt, duration = drawn.choice((PROMPT, "a loud bell then a bird sings twice")), drawn.choice((0.4, 0.6))
        branch = drawn.choice(("guided", "guided", "conditional", "unconditional"))
        settings = drawn.choice(({"denoising_steps": 4}, {"denoising_steps": 4, "guidance_scale": 1.5}))
        requests.append(Request(prompt, duration, number, None, branch, settings))
    return requests


def test_clips_of_any_mix_are_those_of_one_by_one_calls(latent):
    requests = mix(0)
    for asked, made in zip(requests, latent.generate_many(requests), strict=True):
        alone = latent.generate_one(asked)
        assert made.sounds_as(alone)
        assert torch.equal(made.waveform, alone.waveform)
        assert made.settings == alone.settings


def alike(count, **changed):
    return [Request(PROMPT, 0.6, seed, settings={"denoising_steps": 4}, **changed) for seed in range(count)]


def sizes_of(latent, requests, monkeypatch):
    sizes = []
    own = denoising.denoise
    monkeypatch.setattr(
        batches, "denoise", lambda model, jobs, on_step: (sizes.append(len(jobs)), own(model, jobs, on_step))[1]
    )
    latent.generate_many(requests)
    return sizes


def test_clips_of_one_shape_share_a_batch_where_that_changes_no_bit(latent, monkeypatch):
    assert sizes_of(latent, alike(5), monkeypatch) == [5]  # one thread, as in all tests
    monkeypatch.setattr(batches, "_agree", lambda *shape: False)
    assert sizes_of(latent, alike(3), monkeypatch) == [1, 1, 1]


def test_masks_of_a_batch_act_each_on_its_own_clip(latent):
    tokens = len(latent.encode_prompt([PROMPT]).tokens[0])
    masks = torch.rand(3, 15, tokens, generator=torch.Generator().manual_seed(1))
    requests = [replace(request, mask=mask) for request, mask in zip(alike(3), masks, strict=True)]
    for asked, made in zip(requests, latent.generate_many(requests), strict=True):
        assert made.sounds_as(latent.generate_one(asked))


def test_out_of_memory_halves_the_batch_and_loses_no_clip(latent, monkeypatch):
    tried = []
    own = denoising.denoise

    def scarce(model, jobs, on_step):
        tried.append(len(jobs))
        if len(jobs) > 2:
            on_step(len(jobs))
            raise torch.OutOfMemoryError("no memory")
        return own(model, jobs, on_step)

    monkeypatch.setattr(batches, "denoise", scarce)
    reports = []
    made = latent.generate_many(alike(5), on_progress=reports.append)
    assert tried == [5, 3, 2, 2, 1]
    assert [clip.seed for clip in made] == [0, 1, 2, 3, 4]
    assert reports[-1].done == reports[-1].total == 20


def test_the_callers_own_edits_see_one_clip_at_a_time(latent, monkeypatch):
    seen = Capture(keep_heads=True)
    with edit_attention(latent.cross_attention(), seen):
        assert sizes_of(latent, alike(2), monkeypatch) == [1, 1]
    assert seen.weights().shape[1] == 16  # 4 noise levels of 4 heads
