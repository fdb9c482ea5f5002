"""Scores that several methods share: each finds what it would alone, at the same cost, and no pass is run twice."""

import time
from copy import deepcopy

import pytest
import torch

from tagxai.registering.registry import registry
from tagxai.scoring import leave_one_out, score, shared_scores
from tagxai.text import words

PAUSE = 0.05
"""Seconds that each call of the model takes at least."""


@pytest.fixture
def rows(generator, monkeypatch):
    """The rows of each call of the model."""
    states, seen = generator._states, []

    def counted(columns, embeddings, mask):
        seen.append(len(columns))
        time.sleep(PAUSE)
        return states(columns, embeddings, mask)

    monkeypatch.setattr(generator, "_states", counted)
    return seen


def test_methods_that_share_scores_find_what_each_would_alone_at_the_same_cost(generator, generation, rows):
    methods = [registry().method(name)() for name in ("banzhaf", "shapley", "lime", "occlusion")]
    alone = [method.attribute(generator, generation) for method in methods]
    most = max(each.cost.forward_passes for each in alone)
    assert sum(rows) == sum(each.cost.forward_passes for each in alone) > most
    rows.clear()
    with shared_scores(generator):
        together = [method.attribute(generator, generation) for method in methods]
        assert sum(rows) == most
        registry().method("banzhaf").configure({"operator": "gate"}).attribute(generator, generation)
        assert sum(rows) == most + alone[0].cost.forward_passes  # of another question nothing is known
    for own, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other.scores, own.scores, atol=1e-5, rtol=1e-5)
        assert other.cost.forward_passes == own.cost.forward_passes
        assert other.cost.model_calls == own.cost.model_calls
    rows.clear()
    methods[0].attribute(generator, generation)
    assert sum(rows) == alone[0].cost.forward_passes  # outside the block nothing is shared


def test_a_row_that_is_known_costs_what_it_took(generator, generation, rows):
    units = words.words(generation.prompt, generation.spans, generation.tokens)[:3]
    with shared_scores(generator):
        first = score(generator, generation, units, leave_one_out(3), batch_size=2)
        rows.clear()
        started = time.perf_counter()
        again = score(generator, generation, units, leave_one_out(3), batch_size=2)
        waited = time.perf_counter() - started
    assert not rows
    assert torch.equal(again.log_prob, first.log_prob)
    assert (again.rows, again.calls) == (first.rows, first.calls) == (4, 2)
    assert 2 * PAUSE <= again.seconds - waited <= first.seconds


def test_another_model_or_clip_shares_nothing(generator, generation):
    method, changed = registry().method("occlusion")(), deepcopy(generator)
    with torch.no_grad():
        next(iter(changed.parameters_by_part()["heads"])).mul_(2)
    expected = method.attribute(changed, generation).scores
    with shared_scores(generator):
        first = method.attribute(generator, generation).scores
        torch.testing.assert_close(method.attribute(changed, generation).scores, expected)
        assert not torch.allclose(expected, first)
    with shared_scores(changed):
        torch.testing.assert_close(method.attribute(changed, generation).scores, expected)
        with torch.no_grad():
            next(iter(changed.parameters_by_part()["heads"])).mul_(0.5)
        torch.testing.assert_close(method.attribute(changed, generation).scores, first)
        shorter = generator.generate(generation.prompt, duration=generation.duration / 2, seed=generation.seed + 1)
        assert method.attribute(generator, shorter).scores.shape[1] == shorter.frames
