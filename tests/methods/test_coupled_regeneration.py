"""Clips made again from their own noise, against clips made one at a time and compared by hand."""

import pytest
import torch

from tagxai.classifiers import load_classifier
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator
from tagxai.methods.coupled_regeneration import CoupledRegeneration
from tagxai.testing import check_method

TEXTS = ("dog barks", "a barks", "a dog")  # without each of the words


@pytest.fixture(scope="module")
def latent():
    return load_generator("latent")


@pytest.fixture(scope="module")
def clip(latent):
    return latent.generate("a dog barks", duration=1.0, seed=2, denoising_steps=6)


@pytest.fixture(scope="module")
def others(latent):
    return [latent.generate(text, duration=1.0, seed=2, denoising_steps=6) for text in TEXTS]


def test_a_words_score_is_how_far_each_frame_of_latents_moves(latent, clip, others):
    found = CoupledRegeneration().attribute(latent, clip)
    per_word = found.over_time(found.words())
    for row, other in enumerate(others):
        moved = (clip.record["latents"] - other.record["latents"]).square().mean(1).sqrt()
        torch.testing.assert_close(per_word[row], moved, atol=1e-5, rtol=1e-4)
    assert (found.scores[..., -1] == 0).all()  # </s>
    assert (found.cost.clips, found.cost.forward_passes) == (3, 0)


def test_a_classifier_compares_windows_of_sound(latent, clip, others):
    found = CoupledRegeneration(classifier="detector").attribute(latent, clip)
    per_word = found.over_time(found.words())
    hear = load_classifier("detector")
    for row, other in enumerate(others):
        for start, end in ((0, 12), (12, 25)):
            both = hear([each.waveform[:, start * 640 : end * 640] for each in (clip, other)], 16_000)
            expected = (both[0] - both[1]).abs().sum()
            torch.testing.assert_close(per_word[row, start:end], expected.expand(end - start), atol=1e-5, rtol=1e-4)


def test_without_its_only_word_a_clip_is_that_of_nothing(latent):
    clip = latent.generate("thunder", duration=0.4, seed=1, denoising_steps=4)
    nothing = latent.generate("thunder", duration=0.4, seed=1, denoising_steps=4, branch="unconditional")
    found = CoupledRegeneration().attribute(latent, clip)
    torch.testing.assert_close(found.over_time(found.words())[0], latent.distance(clip, nothing))


def test_it_keeps_the_contract(latent):
    check_method(CoupledRegeneration(), latent, duration=0.4)


def test_models_whose_clips_share_no_noise_are_refused_with_what_would_work(generator, generation):
    with pytest.raises(UnsupportedError, match=r"needs coupled, .* method 'occlusion' with operator=delete"):
        CoupledRegeneration().attribute(generator, generation)


def test_bad_options_are_one_sentence(latent, clip):
    with pytest.raises(TagxaiError, match=r"'letter'.*choices: phrase, token, word"):
        CoupledRegeneration.configure({"by": "letter"})
    with pytest.raises(TagxaiError, match="above 0"):
        CoupledRegeneration(classifier="detector", resolution=0.0).attribute(latent, clip)
    with pytest.raises(TagxaiError, match="ears"):
        CoupledRegeneration(classifier="ears").attribute(latent, clip)
