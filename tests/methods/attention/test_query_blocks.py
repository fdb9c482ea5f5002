"""Methods that look at self-attention get the same from some queries at a time as from all of them."""

import pytest
import torch

from tagxai.contract import query_blocks
from tagxai.contract.attention import edit_attention
from tagxai.contract.query_blocks import later_keys, query_by_query
from tagxai.methods.alti import ALTI
from tagxai.methods.alti_logit import ALTILogit
from tagxai.methods.attention_rollout import AttentionRollout
from tagxai.methods.attn_lrp import AttnLRP
from tagxai.methods.input_x_gradient import InputXGradient

METHODS = [AttentionRollout(), ALTI(), ALTILogit(feed_forward=True), AttnLRP()]


@pytest.fixture
def shown(monkeypatch):
    """The largest number of self-attention's queries that an edit was shown, after `watching`."""

    class Shown:
        most = 0

        def watching(self, model, size):
            monkeypatch.setattr(query_blocks, "AT_ONCE", size)
            sites = [site for site in model.attention_sites() if site.kind == "self"]
            return edit_attention(sites, self.spy)

        @query_by_query
        def spy(self, site, weights):
            self.most = max(self.most, weights.shape[2])

    return Shown()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("size", [1, 400])
def test_scores_from_blocks_are_those_from_the_whole(generator, shown, method, size):
    clip = generator.generate("a dog barks while rain falls", duration=0.4, seed=0)
    expected = method.attribute(generator, clip).scores
    with shown.watching(generator, size):
        found = method.attribute(generator, clip).scores
    assert 0 < shown.most < clip.positions
    # ALTI's shares are differences of numbers of size one, so their rounding does not shrink with them
    torch.testing.assert_close(found, expected, atol=1e-6 + 1e-5 * float(expected.abs().max()), rtol=1e-4)


def test_forward_mode_through_audiocraft_takes_blocks_as_well(audiocraft_generator, shown):
    model = audiocraft_generator
    clip = model.generate("rain falls", duration=0.4, seed=0)
    method = InputXGradient(mode="forward")
    expected = method.attribute(model, clip).scores
    with shown.watching(model, 1):
        found = method.attribute(model, clip).scores
    assert shown.most == 1
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


def test_an_edit_that_is_not_marked_sees_all_queries(generator, generation, monkeypatch):
    monkeypatch.setattr(query_blocks, "AT_ONCE", 1)
    seen = []
    with edit_attention(generator.attention_sites(), lambda site, weights: seen.append(weights.shape[2])):
        AttentionRollout().attribute(generator, generation)
    assert set(seen) == {generation.positions}


@pytest.mark.parametrize("before", [0, 3])
def test_the_last_query_is_the_last_key(before):
    whole = torch.ones(5, 5 + before, dtype=torch.bool).triu(1 + before)
    assert torch.equal(later_keys(slice(0, 5), 5 + before, whole.device), whole)
    assert torch.equal(later_keys(slice(2, 4), 4 + before, whole.device), whole[2:4, : 4 + before])
