"""Sampled Shapley values take each random order of the words next to its reverse (Mitchell et al., JMLR 2022)."""

import torch

from tagxai.methods.shapley import Shapley


def test_every_order_comes_with_its_reverse(generator, generation, monkeypatch):
    seen, score = [], Shapley.score

    def watched(self, run, units, masks, **options):
        seen.append(masks)
        return score(self, run, units, masks, **options)

    monkeypatch.setattr(Shapley, "score", watched)
    Shapley(exact_up_to=0, permutations=4).attribute(generator, generation)
    assert seen
    for masks in seen:
        orders = masks.unflatten(0, (-1, masks.shape[1] + 1))
        for order, reverse in zip(orders[::2], orders[1::2], strict=True):
            assert torch.equal(reverse, ~order.flip(0))  # the first k of one are all but the last n - k of the other
