"""Checks the contract, and restates the definition slowly: one word and one pass at a time."""

from dataclasses import replace

import pytest
import torch
from tagxai_leave_one_out import LeaveOneOut

from tagxai import TagxaiError, load_generator
from tagxai.testing import check_method, random_checkpoint


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return load_generator(f"musicgen:{random_checkpoint(tmp_path_factory.mktemp('model'))}")


def test_it_keeps_the_contract_of_methods(generator):
    check_method(LeaveOneOut(), generator)


def test_a_words_score_is_the_log_probability_lost_when_its_embeddings_are_zero(generator):
    clip = generator.generate("a dog barks while thunder rings", duration=0.8, seed=1)
    prompt = generator.encode_prompt([clip.prompt])
    plain = generator.forward(clip).log_prob
    explanation = LeaveOneOut().attribute(generator, clip)
    over_time = explanation.over_time(explanation.words())
    assert len(over_time) == 7  # six words and </s>, which have more tokens than that
    for row, word in enumerate(explanation.words()):
        embeddings = prompt.embeddings.clone()
        for token in word.tokens:
            embeddings[0, token] = 0
        lost = plain - generator.forward(clip, replace(prompt, embeddings=embeddings)).log_prob
        torch.testing.assert_close(over_time[row], lost[0].mean(0), atol=1e-5, rtol=1e-4)


def test_results_do_not_depend_on_the_batch_size(generator):
    clip = generator.generate("a bird sings then a bell rings", duration=0.6, seed=2)
    one, many = (LeaveOneOut(batch_size=size).attribute(generator, clip).scores for size in (1, 16))
    torch.testing.assert_close(one, many, atol=1e-5, rtol=1e-4)


def test_an_impossible_batch_size_is_refused():
    with pytest.raises(TagxaiError, match="at least 1"):
        LeaveOneOut(batch_size=0)
