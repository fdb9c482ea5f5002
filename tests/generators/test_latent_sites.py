"""Attention of models that denoise latents: what edits see, and generators that show something else."""

from dataclasses import dataclass

import pytest
import torch
from small_latent import small_latent

from tagxai.contract.attention import Position, at
from tagxai.generators.latent import FlowSite, LatentEmbedded
from tagxai.generators.latents.sites import LatentSite, showing
from tagxai.testing import ConformanceError, check_generator


@dataclass(frozen=True)
class Plain(LatentSite):
    def watched(self):
        raise NotImplementedError


def at_levels(levels):
    return at(Position(levels=levels))


def test_edits_see_frames_and_prompt_tokens_alone_and_other_queries_take_the_mean_gate():
    """Two prompts at two levels; a query before 3 frames, one after them; 2 tokens before one of padding."""
    random_state = torch.Generator().manual_seed(0)
    weights = torch.rand(4, 3, 5, 3, generator=random_state).softmax(-1)
    gates = torch.rand(2, 3, 2, generator=random_state)
    site = Plain("x.cross", 0, "cross", 6, None, levels=2, prepended=1)
    seen = []

    def look(site, shown):
        seen.append(shown)
        return shown * gates[:, None]

    with edit_attention_unwatched(site, look), at_levels(2), showing(3, 2):
        edited = site.edited(weights, weights.log(), torch.rand(4, 3, 3, 7))
    (shown,) = seen
    assert shown.shape == (2, 6, 3, 2)
    for row in range(4):
        prompt, level = divmod(row, 2)
        for head in range(3):
            assert torch.equal(shown[prompt, level * 3 + head], weights[row, head, 1:4, :2])
            for query in range(5):
                gate = gates[prompt, query - 1] if 1 <= query < 4 else gates[prompt].mean(0)
                torch.testing.assert_close(edited[row, head, query, :2], weights[row, head, query, :2] * gate)
                assert edited[row, head, query, 2] == weights[row, head, query, 2]


def test_self_attention_shows_frames_by_frames():
    weights = torch.rand(2, 3, 5, 5)
    site = Plain("x.self", 0, "self", 6, None, levels=2, prepended=1)
    with edit_attention_unwatched(site, lambda site, shown: 0 * shown), at_levels(2), showing(3, 2):
        edited = site.edited(weights, weights, torch.rand(2, 3, 5, 7))
    expected = weights.clone()
    expected[:, :, 1:4, 1:4] = 0
    assert torch.equal(edited, expected)


def edit_attention_unwatched(site, edit):
    from tagxai.contract.attention import _entered

    return _entered([site], edit, None)


class OneLevel(FlowSite):
    """Shows methods the noisiest level, and closes the others alike, as an adapter may that knows of no levels."""

    def edited(self, weights, logits, values):
        from tagxai.contract.attention import position, run_edits

        levels = position().levels
        first = [x.unflatten(0, (-1, levels))[:, 0] for x in (weights, logits, values)]
        gate = run_edits(self, *first) / first[0]
        return weights * gate.repeat_interleave(levels, 0)


@pytest.mark.parametrize("says", [1, 4])
def test_a_generator_that_shows_one_noise_level_is_caught(latent, says):
    class Careless(LatentEmbedded):
        """Looks like the embedded flow."""

        def attention_sites(self):
            return [
                OneLevel(s.name, s.layer, s.kind, s.heads * says // 4, s.module, s.layer_module, levels=says)
                for s in super().attention_sites()
            ]

    model = small_latent(Careless, levels=4)
    with pytest.raises(ConformanceError, match=r"2 heads at 1 noise levels.*runs a clip at 4|has 8 heads, but shows"):
        check_generator(model)


def backwards(rows):
    return rows.unflatten(0, (-1, 4)).flip(1).flatten(0, 1) if len(rows) > 1 else rows


def test_a_generator_that_takes_one_level_for_another_is_caught(latent):
    class Swapped(FlowSite):
        def edited(self, weights, logits, values):
            return backwards(super().edited(*map(backwards, (weights, logits, values))))

    class Careless(LatentEmbedded):
        """Looks like the embedded flow."""

        def attention_sites(self):
            return [
                Swapped(s.name, s.layer, s.kind, s.heads, s.module, s.layer_module, levels=4)
                for s in super().attention_sites()
            ]

    with pytest.raises(ConformanceError, match="noise level 0 that are not its own"):
        check_generator(small_latent(Careless, levels=4))
