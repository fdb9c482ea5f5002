"""Attention of some queries at a time, with its forward-mode derivative, against plain attention and reverse mode."""

import pytest
import torch

from tagxai.contract.workload import QUERIES
from tagxai.probing import forward_mode

LENGTH = 2 * QUERIES + 5
"""Three parts, of which the last is short."""


def tensors(length, keys):
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 2, length, 4), (1, 2, keys, 4), (1, 2, keys, 4), (3, 1, 2, length, 4))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def causal(kind):
    kept = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
    lowest = {"lowest": torch.finfo(torch.float64).min, "infinite": -torch.inf}.get(kind)
    mask = kept if lowest is None else torch.zeros(LENGTH, LENGTH, dtype=torch.float64).masked_fill(~kept, lowest)
    return mask[None, None]


def by_hand(query, key, value, attn_mask=None, is_causal=False, scale=None):
    kept = causal("bool") if is_causal else attn_mask
    scores = query @ key.mT * (scale or query.shape[-1] ** -0.5)
    if kept is not None:
        scores = scores.masked_fill(~kept, -torch.inf) if kept.dtype == torch.bool else scores + kept
    return scores.softmax(-1) @ value


def one_row():
    return torch.zeros(1, 1, 1, 9, dtype=torch.float64).masked_fill(torch.arange(9) > 6, -torch.inf)


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        (LENGTH, {}),
        (LENGTH, {"is_causal": True}),
        (LENGTH, {"attn_mask": causal("bool")}),
        (LENGTH, {"attn_mask": causal("infinite")}),
        (LENGTH, {"attn_mask": causal("lowest"), "scale": 0.3}),
        (LENGTH, {"attn_mask": torch.zeros(1, 1, LENGTH, 1, dtype=torch.float64)}),  # the same for all keys
        (9, {}),
        (9, {"attn_mask": one_row()}),
    ],
)
def test_it_is_plain_attention_and_so_is_its_derivative(keys, options):
    query, key, value, directions = tensors(LENGTH, keys)
    forward_mode._prepare()

    def attend(moved):
        return forward_mode._attend(moved, key, value, **options)

    found = torch.func.vmap(lambda along: torch.func.jvp(attend, (query,), (along,)))(directions)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, **options)
    for row in range(3):
        assert torch.allclose(found[0][row], expected, atol=1e-12)
        _, derivative = torch.autograd.functional.jvp(  # reverse mode, twice
            lambda moved: by_hand(moved, key, value, **options), query, directions[row]
        )
        assert torch.allclose(found[1][row], derivative, atol=1e-12)


def test_the_keys_behind_a_causal_part_are_not_multiplied(monkeypatch):
    seen = []
    plain = torch.ops.aten._scaled_dot_product_attention_math

    def watch(query, key, *arguments, **options):
        seen.append((query.shape[-2], key.shape[-2]))
        return plain(query, key, *arguments, **options)

    monkeypatch.setattr(torch.ops.aten, "_scaled_dot_product_attention_math", watch)
    query, key, value, _ = tensors(LENGTH, LENGTH)
    forward_mode._attend(query, key, value, is_causal=True)
    assert seen == [(QUERIES, QUERIES), (QUERIES, 2 * QUERIES), (5, LENGTH)]
    seen.clear()
    forward_mode._attend(query, key, value)
    assert [keys for _, keys in seen] == [LENGTH] * 3
