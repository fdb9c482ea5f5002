"""AtMan against slow, literal definitions."""

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError
from tagxai.methods.atman import AtMan
from tagxai.methods.attention_rollout import AttentionRollout
from tagxai.methods.daam import DAAM
from tagxai.probing.edits import Gate


def losses_with_keys_scaled(generator, generation, factors):
    """A logit is a query times a key, so a key scaled in every layer is a logit scaled."""
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        if hasattr(generator, "lm"):
            from tagxai.generators.audiocraft import attention as audiocraft_attention

            def project(module, *inputs, plain=audiocraft_attention._project):
                q, k, v = plain(module, *inputs)
                return [q, k * factors[:, None] if module.cross_attention else k, v]

            patch.setattr(audiocraft_attention, "_project", project)
        else:
            for site in generator.cross_attention():
                project = site.module.k_proj.forward
                patch.setattr(site.module.k_proj, "forward", lambda x, p=project: p(x) * factors[:, None])
        with edit_attention(generator.cross_attention(), lambda site, weights: None):
            return -generator.forward(generation).log_prob[0]


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_atman_is_the_rise_of_the_loss_with_scaled_logits(generator, generation, threshold):
    scores = AtMan(threshold=threshold).attribute(generator, generation).scores
    plain = losses_with_keys_scaled(generator, generation, torch.ones(len(generation.tokens)))
    embeddings = generator.encode_prompt([generation.prompt]).embeddings[0]
    joined = 0
    for token in range(len(generation.tokens)):
        factors = torch.ones(len(generation.tokens))
        for other in range(len(generation.tokens)):
            similarity = torch.cosine_similarity(embeddings[token], embeddings[other], dim=0).item()
            if other == token:
                factors[other] = 1 - 0.9
            elif threshold is not None and similarity >= threshold:
                factors[other], joined = 1 - 0.9 * similarity, joined + 1
        rise = losses_with_keys_scaled(generator, generation, factors) - plain
        torch.testing.assert_close(scores[..., token], rise, atol=1e-4, rtol=1e-3)
    assert (joined > 0) == (threshold is not None)


def test_suppression_works_on_what_a_gate_has_left(generator, generation):
    """With all but one token gated away, suppressing the others changes nothing."""
    gate = torch.zeros(generation.positions, len(generation.tokens))
    gate[:, 2] = 1
    with edit_attention(generator.cross_attention(), Gate(gate)):
        scores = AtMan().attribute(generator, generation).scores
    assert scores.abs().max() < 1e-4


@pytest.mark.parametrize(
    "make",
    [
        lambda: AtMan(suppression=1.5),
        lambda: AtMan(threshold=2.0),
        lambda: AttentionRollout(residual=1.0),
        lambda: DAAM(threshold=0.0),
    ],
)
def test_settings_out_of_range_are_one_sentence(make):
    with pytest.raises(TagxaiError, match=r"option '\w+' of method '\w+' must be"):
        make()
