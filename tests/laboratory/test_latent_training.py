"""Training of the embedded model `latent`: its data, and that an interrupted run ends where an unbroken one does."""

import zlib
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from tagxai.laboratory.latent_flow import FlowConfig, LatentFlow
from tagxai.laboratory.sounds.splits import split_of
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES
from tagxai.laboratory.train.latent import loop, pairs, space
from tagxai.laboratory.train.latent.__main__ import main
from tagxai.laboratory.train.latents import LatentSpace

MICRO = FlowConfig(width=16, layers=1, heads=2, inner=16, dim=4, bins=5, text=3, frames=6)
SETTINGS = loop.Settings(steps=5, batch=4, every=2)
SPACE = LatentSpace(torch.arange(5.0), torch.ones(5, 4), torch.zeros(1, 2, 4))


def encode(tokens):
    """Three numbers a token, which tell it from the others."""
    return torch.stack([tokens, tokens.square(), tokens == 0], -1).float() / 10


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 9, (20, 2, 7), generator=generator).sort(-1, descending=True).values.to(torch.int16)
    tokens[..., 0] = 9
    return pairs.Pairs(tokens, torch.randn(20, 6, 4, generator=generator).half())


def run(folder, data, settings=SETTINGS, encode=encode):
    return loop.train(folder, data, encode, SPACE, pairs.Pairs(data.tokens[:3], data.latents[:3]), settings, MICRO)


def test_an_interrupted_run_ends_as_an_unbroken_one_bit_by_bit(data, tmp_path):
    whole = run(tmp_path / "whole", data).state_dict()
    calls = 0

    def failing(tokens):
        nonlocal calls
        calls += 1
        if calls == 5:  # the held-out clips, then three steps; a checkpoint is kept after the second
            raise KeyboardInterrupt
        return encode(tokens)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", data, encode=failing)
    resumed = run(tmp_path / "broken", data).state_dict()
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name
    other = run(tmp_path / "other", data, replace(SETTINGS, seed=1)).state_dict()
    assert not torch.equal(other["enter.weight"], whole["enter.weight"])


def test_a_finished_run_is_loaded_and_knows_its_latent_space(data, tmp_path):
    trained = run(tmp_path, data)
    again = run(tmp_path, data)
    assert torch.equal(again.enter.weight, trained.enter.weight)
    assert torch.equal(again.mean, SPACE.mean)
    assert torch.equal(again.basis, SPACE.basis)
    flat = data.latents.float() / again.scale
    assert float(flat.square().mean()) == pytest.approx(1, abs=0.1)


def test_training_learns_a_velocity_that_depends_on_text(data, tmp_path):
    """Two clips, each with its own words: what is left of the error near noise is what the text cannot tell."""
    two = pairs.Pairs(data.tokens[:2].clone(), data.latents[:2])
    two.tokens[0, :, 1:3], two.tokens[1, :, 1:3] = 8, 2
    settings = replace(
        SETTINGS, steps=80, batch=16, every=80, matrices=0.1, others=0.05, average=0.9, middles=(2.0, 2.0)
    )
    model = run(tmp_path, two, settings)
    tried = loop.draw(two, encode, model.scale, replace(settings, batch=32, null=0.0), 10**6)
    tried = tried._replace(level=torch.full_like(tried.level, 0.97))
    told = float(tried.loss(model).mean())
    untold = float(tried._replace(text=torch.zeros_like(tried.text)).loss(model).mean())
    assert told < 0.75 * untold


def test_batches_depend_on_their_step_alone_and_drop_some_texts(data):
    settings = replace(SETTINGS, batch=400, null=0.25)
    one, same, other = (loop.draw(data, encode, torch.ones(4), settings, step) for step in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.noise, other.noise)
    assert float((one.text == 0).all(2).all(1).float().mean()) == pytest.approx(0.25, abs=0.06)


def test_noise_levels_are_high_at_first_and_lower_later(data):
    settings = replace(SETTINGS, steps=100, batch=101, middles=(3.0, 0.0))
    medians = [float(loop.draw(data, encode, torch.ones(4), settings, step).level.median()) for step in (0, 50, 100)]
    expected = torch.tensor([3.0, 1.5, 0.0]).sigmoid()
    torch.testing.assert_close(torch.tensor(medians), expected, atol=0.02, rtol=0)


def test_the_rate_warms_up_stays_and_falls():
    settings = loop.Settings(steps=1000, steady=0.5)
    rates = [loop.rate(step, settings) for step in (0, 149, 500, 750, 1000)]
    assert rates == pytest.approx([1 / 150, 1, 1, 0.51, 0.02])


def test_training_scenes_are_of_the_training_split_with_counts_and_rates_where_they_can_be():
    found = list(islice(pairs.training_scenes(0), 800))
    assert {split_of(scene.form, scene.events, scene.absent) for scene in found} == {"train"}
    counted = 0
    for scene in found:
        kinds = [list(style.chosen()) for style in scene.styles]
        assert all(set(k) <= set(ATTRIBUTES[event]) for event, k in zip(scene.events, kinds, strict=True))
        assert scene.form != "sequence" or ["count"] not in kinds
        counted += ["count"] in kinds
    assert 0.25 < counted / len(found) < 0.45
    assert {scene.form for scene in found} == {"single", "while", "followed", "sequence", "layered"}


def test_tellings_of_single_events_are_sentences_of_the_training_split():
    rng = np.random.default_rng(0)
    for scene in islice(pairs.training_scenes(1), 60):
        told = pairs.tellings(scene, rng)
        assert len(told) in (0, pairs.TELLINGS)
        if scene.form == "single" and scene.absent is None:
            assert all(zlib.crc32(text.rstrip(".").encode()) % 10 > 2 for text in told)


def test_pairs_are_kept_in_blocks(tmp_path, monkeypatch):
    from transformers import AutoTokenizer

    from tagxai.laboratory import WEIGHTS

    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    small = LatentSpace(torch.zeros(321), torch.eye(321)[:, :4], torch.zeros(1, 2, 4))
    made = pairs.make(tmp_path, tokenizer, small, 5, block=3)
    assert made.tokens.shape == (5, pairs.TELLINGS, 34)
    assert made.latents.shape == (5, 75, 4)
    assert tokenizer.decode(made.tokens[0, 0], skip_special_tokens=True).strip()
    monkeypatch.setattr(pairs, "_block", None)  # a second call renders nothing
    again = pairs.make(tmp_path, tokenizer, small, 5, block=3)
    assert torch.equal(again.latents, made.latents)


def test_another_latent_space_is_refused(tmp_path, monkeypatch):
    from transformers import MusicgenForConditionalGeneration

    from tagxai.laboratory import WEIGHTS

    model = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
    other = LatentSpace(torch.zeros(321), torch.eye(321)[:, :64], torch.zeros(4, 512, 64))
    monkeypatch.setattr(space, "latent_space", lambda out, seed: other)
    with pytest.raises(ValueError, match=r"leave .* of the energy of latents fitted with seed 0; expected at most"):
        space.shipped_space(tmp_path, model)


def test_the_shipped_flow_knows_the_latent_space_of_the_shipped_codec():
    from transformers import MusicgenForConditionalGeneration

    from tagxai.laboratory import WEIGHTS
    from tagxai.laboratory.train.rendering import rendered

    flow = LatentFlow.load(WEIGHTS.parent / "weights_latent")
    codec = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32).audio_encoder
    books = torch.stack([layer.codebook.embed for layer in codec.quantizer.layers])
    clips = rendered(16, 3).sum(1).float()
    assert space.left_over(LatentSpace(flow.mean, flow.basis, books), clips) < space.LEFT_OVER
    assert space.left_over(LatentSpace(flow.mean, -flow.basis, books), clips) > 5 * space.LEFT_OVER
    latents = (LatentSpace(flow.mean, flow.basis, books).latents(clips)) / flow.scale
    assert float(latents.square().mean()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--steps", "-1"], "--steps takes 0 or more, not -1"),
        (["--batch", "0"], "--batch takes 1 or more, not 0"),
        (["--weights", __file__], "is a file; expected a folder"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(options, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "out"), *options])
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
