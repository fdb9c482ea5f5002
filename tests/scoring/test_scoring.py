"""The scoring core against slow literal definitions."""

from dataclasses import replace

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.contract.generator import Generator
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.probing.edits import Gate
from tagxai.scoring import leave_one_out, score, without
from tagxai.text import words
from tagxai.text.words import Unit

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
OPERATORS = ["delete", "null", "attention", "gate", "value"]


@pytest.fixture(scope="module")
def units(generation):
    return words.words(generation.prompt, generation.spans, generation.tokens)


def literal(generator, generation, units, kept, operator):
    """One coalition, the long way round."""
    conditioning = generator.encode_prompt([generation.prompt])
    gone = [token for unit, keep in zip(units, kept, strict=True) if not keep for token in unit.tokens]
    edit = Gate(torch.ones(generation.positions, len(generation.tokens)))
    if operator == "delete":
        text = " ".join(unit.text for unit, keep in zip(units, kept, strict=True) if keep and not unit.special)
        conditioning = generator.encode_prompt([text])
        edit = Gate(torch.ones(generation.positions, len(conditioning.tokens[0])))
    elif operator == "null":
        embeddings = conditioning.embeddings.clone()
        embeddings[:, gone] = 0
        conditioning = replace(conditioning, embeddings=embeddings)
    elif operator in ("gate", "value"):
        edit.gate[..., gone] = 0
    elif operator == "attention":
        conditioning = replace(conditioning, mask=conditioning.mask.clone())
        conditioning.mask[:, gone] = False  # the decoder's own way to attend to some tokens only
    with torch.no_grad(), edit_attention(generator.cross_attention(), edit):
        return generator.forward(generation, conditioning).log_prob[0]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_coalition_scores_what_its_definition_says(generator, generation, units, operator):
    masks = leave_one_out(len(units))[: len(units)]  # `</s>` stays: it cannot be deleted
    table = score(generator, generation, units, masks, operator=operator)
    for row, kept in zip(table.log_prob, masks.tolist(), strict=True):
        torch.testing.assert_close(row, literal(generator, generation, units, kept, operator), **TOLERANCE)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("target", ["conditional", "guided", "contrast", "hidden"])
def test_results_do_not_depend_on_the_batch_size(generator, generation, units, operator, target):
    masks = leave_one_out(len(units))
    tables = [
        score(generator, generation, units, masks, operator=operator, target=target, batch_size=size).log_prob
        for size in (1, 3, 100)
    ]
    torch.testing.assert_close(tables[0], tables[1], **TOLERANCE)
    torch.testing.assert_close(tables[0], tables[2], **TOLERANCE)


def as_users_call_it(*arguments, **options):
    """`score` without the tests' own check of types, which users do not have."""
    return score.__wrapped__(*arguments, **options)


@pytest.mark.parametrize("wrong", [{"operator": "values"}, {"target": "conditonel"}, {"prefix": "Shared"}])
def test_a_question_that_is_misspelt_is_refused_and_not_another_one_answered(generator, generation, units, wrong):
    (given,) = wrong.values()
    with pytest.raises(TagxaiError, match=f"named '{given}'; .* choices: "):
        as_users_call_it(generator, generation, units, leave_one_out(len(units)), **wrong)


@pytest.mark.parametrize("shape", [(0, 7), (1, 6), (1, 8), (7,)])
def test_masks_must_be_of_the_units(generator, generation, units, shape):
    with pytest.raises(ValueError, match="each of 7 units"):
        as_users_call_it(generator, generation, units, torch.ones(shape, dtype=torch.bool))


def test_equal_coalitions_are_run_once(generator, generation, units):
    masks = torch.ones(50, len(units), dtype=torch.bool)
    table = score(generator, generation, units, masks)
    assert table.rows == 1
    assert table.log_prob.shape == (50, *generation.record["codes"].shape)
    assert (table.log_prob == table.log_prob[0]).all()


def test_keeping_nothing_under_the_gate_is_the_unconditional_branch(generator, generation, units):
    table = score(generator, generation, units, torch.zeros(1, len(units), dtype=torch.bool))
    unconditional = generator.forward(generation, branch="unconditional").log_prob
    torch.testing.assert_close(table.log_prob, unconditional, **TOLERANCE)
    contrast = score(generator, generation, units, torch.zeros(1, len(units), dtype=torch.bool), target="contrast")
    torch.testing.assert_close(contrast.log_prob, torch.zeros_like(unconditional), **TOLERANCE)


def test_a_batch_that_does_not_fit_is_halved(generator, generation, units, monkeypatch):
    forward, sizes = generator.forward, []

    def small_memory(generation, conditioning, **options):
        sizes.append(len(conditioning))
        if len(conditioning) > 2:
            raise torch.OutOfMemoryError("no memory")
        return forward(generation, conditioning, **options)

    expected = score(generator, generation, units, leave_one_out(len(units)))
    monkeypatch.setattr(generator, "forward", small_memory)
    table = score(generator, generation, units, leave_one_out(len(units)), batch_size=8)
    assert sizes[:3] == [8, 4, 2]
    torch.testing.assert_close(table.log_prob, expected.log_prob, **TOLERANCE)


def test_removing_words_closes_the_gap():
    prompt = "a dog, barks  loudly"
    units = [Unit("a", 0, 1, (0,)), Unit("dog", 2, 5, (1,)), Unit("barks", 7, 12, (2,)), Unit("loudly", 14, 20, (3,))]
    assert without(prompt, units, [True, True, False, True]) == "a dog, loudly"
    assert without(prompt, units, [False] * 4) == ""


def test_punctuation_goes_with_the_word_that_its_token_goes_with():
    prompt = 'a "dog", barks - twice.'
    spans = [(0, 1), (2, 8), (9, 14), (15, 16), (17, 23)]
    units = words.words(prompt, spans, [prompt[a:b] for a, b in spans])
    assert [unit.text for unit in units] == ["a", "dog", "barks", "-", "twice"]
    for gone, left in [
        (1, "a barks - twice."),
        (3, 'a "dog", barks twice.'),
        (4, 'a "dog", barks -'),
    ]:
        assert without(prompt, units, [i != gone for i in range(5)]) == left


def test_a_token_that_is_taken_away_leaves_the_comma_that_is_a_token_itself():
    prompt = "a dog, barks"
    spans = [(0, 1), (2, 5), (5, 6), (7, 10), (10, 12)]
    units = words.tokens(prompt, spans, [prompt[a:b] for a, b in spans])
    assert without(prompt, units, [True, False, True, True, True]) == "a , barks"
    assert without(prompt, units, [True, True, True, True, False]) == "a dog, bar"


@pytest.mark.parametrize("target", ["guided", "contrast", "hidden"])
def test_a_target_is_what_its_definition_says(generator, generation, units, target):
    masks = leave_one_out(len(units))[1:3]
    table = score(generator, generation, units, masks, operator="gate", target=target)
    plain = generator.forward(generation)
    for row, kept in zip(table.log_prob, masks.tolist(), strict=True):
        gone = [token for unit, keep in zip(units, kept, strict=True) if not keep for token in unit.tokens]
        gate = Gate(torch.ones(generation.positions, len(generation.tokens)))
        gate.gate[..., gone] = 0
        with torch.no_grad(), edit_attention(generator.cross_attention(), gate):
            edited = generator.forward(generation, branch="guided" if target == "guided" else "conditional")
        if target == "guided":
            expected = edited.log_prob[0]
        elif target == "contrast":
            expected = edited.log_prob[0] - generator.forward(generation, branch="unconditional").log_prob[0]
        else:
            expected = torch.empty(generation.record["codes"].shape)
            for q, delay in enumerate(generation.timeline.delays):
                for frame in range(generation.frames):
                    a, b = (output.hidden[0, frame + delay] for output in (plain, edited))
                    expected[q, frame] = a @ b / (a.norm() * b.norm())
        torch.testing.assert_close(row, expected, **TOLERANCE)


@pytest.mark.parametrize("operator", ["gate", "value", "delete"])
@pytest.mark.parametrize("frames", [range(1), range(7, 12), range(20, 25)])
def test_an_interval_scores_as_it_does_in_the_whole_clip(generator, generation, units, operator, frames):
    masks = leave_one_out(len(units))
    whole = score(generator, generation, units, masks, operator=operator)
    part = score(generator, generation, units, masks, operator=operator, frames=frames)
    torch.testing.assert_close(part.log_prob, whole.log_prob[..., frames.start : frames.stop], **TOLERANCE)
    torch.testing.assert_close(part.value(frames), whole.value(frames), atol=1e-3, rtol=1e-4)
    with pytest.raises(ValueError, match="are not all in a table of"):
        part.value(range(2, 25))


@pytest.mark.parametrize("operator", ["gate", "value", "attention"])
@pytest.mark.parametrize("target", ["conditional", "guided", "contrast", "hidden"])
def test_with_a_shared_prefix_units_are_missing_from_the_interval_on_only(
    generator, generation, units, operator, target
):
    frames, masks = range(9, 14), leave_one_out(len(units))[:4]
    table = score(generator, generation, units, masks, operator=operator, target=target, frames=frames, prefix="shared")
    plain = generator.forward(generation).hidden
    for row, kept in zip(table.log_prob, masks.tolist(), strict=True):
        gate = torch.ones(generation.positions, len(generation.tokens))
        gate[frames.start :, [t for unit, keep in zip(units, kept, strict=True) if not keep for t in unit.tokens]] = 0

        def edit(site, weights, gate=gate):
            weights = weights * gate
            return weights / weights.sum(-1, keepdim=True) if operator == "attention" else weights

        with torch.no_grad(), edit_attention(generator.cross_attention(), edit):
            output = generator.forward(generation, branch="guided" if target == "guided" else "conditional")
        expected = output.log_prob[0]
        if target == "contrast":
            expected = expected - generator.forward(generation, branch="unconditional").log_prob[0]
        if target == "hidden":
            alike = torch.cosine_similarity(output.hidden, plain, dim=-1)[0]
            expected = torch.stack([alike[delay : delay + generation.frames] for delay in generation.timeline.delays])
        torch.testing.assert_close(row, expected[:, frames.start : frames.stop], **TOLERANCE)


@pytest.mark.parametrize("operator", ["delete", "null"])
def test_a_shared_prefix_of_nothing_is_no_prefix(generator, generation, units, operator):
    masks, frames = leave_one_out(len(units)), range(6)
    own, shared = (
        score(generator, generation, units, masks, operator=operator, frames=frames, prefix=prefix).log_prob
        for prefix in ("own", "shared")
    )
    torch.testing.assert_close(own, shared, **TOLERANCE)


def test_a_generator_that_cannot_go_on_from_the_middle_says_so(generator, generation, units, monkeypatch):
    monkeypatch.setattr(type(generator), "prefix_state", Generator.prefix_state)
    with pytest.raises(UnsupportedError, match="cannot continue from the middle of a clip"):
        score(generator, generation, units, leave_one_out(len(units)), frames=range(5, 8), prefix="shared")


def test_the_clip_after_an_interval_is_not_run(generator, generation, units, monkeypatch):
    forward, steps = generator.forward, []

    def seen(clip, *arguments, **options):
        steps.append(clip.positions)
        return forward(clip, *arguments, **options)

    monkeypatch.setattr(generator, "forward", seen)
    score(generator, generation, units, leave_one_out(len(units)), frames=range(5))
    assert set(steps) == {5 + 2 * max(generation.timeline.delays)}
    with pytest.raises(ValueError, match="do not fit a clip of 25"):
        score(generator, generation, units, leave_one_out(len(units)), frames=range(20, 26))


def test_the_cost_counts_every_row_and_call(generator, generation, units, monkeypatch):
    states, rows = generator._states, []

    def counted(columns, embeddings, mask):
        rows.append(len(columns))
        return states(columns, embeddings, mask)

    monkeypatch.setattr(generator, "_states", counted)
    table = score(generator, generation, units, leave_one_out(len(units)), target="guided", batch_size=3)
    assert (table.rows, table.calls) == (sum(rows), len(rows)) == (len(units) + 2, 4)  # 3 + 3 + 2 rows, and one without
    assert table.seconds > 0
    assert table.peak_memory > 1e6


def test_coalitions_that_come_to_the_same_text_are_run_once(generator):
    clip = generator.generate("dog dog dog", duration=0.4, seed=0)
    units = [unit for unit in words.words(clip.prompt, clip.spans, clip.tokens) if not unit.special]
    table = score(generator, clip, units, leave_one_out(3), operator="delete")
    assert table.rows == 2
    assert torch.equal(table.log_prob[1], table.log_prob[3])


def test_groups_of_units_are_a_game_of_their_own(generator, generation, units):
    every = torch.cat([leave_one_out(len(units)), torch.zeros(1, len(units), dtype=torch.bool)])
    every = torch.cat([every, ~leave_one_out(len(units))])
    every[-1, 0] = True  # the first two and nothing else
    table = score(generator, generation, units, every)
    grouped = table.grouped([[0, len(units) - 1], list(range(1, len(units) - 1))])
    assert grouped.masks.tolist() == [[True, True], [False, False], [False, False], [True, False]]
    assert grouped.units[0].tokens == (*units[0].tokens, *units[-1].tokens)
    assert torch.equal(grouped.log_prob[-1], table.log_prob[-1])
