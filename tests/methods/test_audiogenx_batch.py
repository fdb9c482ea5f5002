"""AudioGenX's masks of several clips and seeds, learned in one batch: those that are learned one at a time."""

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.contract.generator import Generator
from tagxai.contract.request import Replay
from tagxai.contract.shortage import ShortOfMemoryError
from tagxai.generators.codes import replays
from tagxai.methods.audiogenx import AudioGenX
from tagxai.probing.edits import Capture

SETTINGS = {
    "default": {},
    "seeds": {"epochs": 4, "seeds": 3},
    "seeds stop early": {
        "explainer": "mlp",
        "hidden_units": 4,
        "learning_rate": 0.3,
        "seeds": 4,
        "epochs": 30,
        "patience": 1,
        "tolerance": 0.001,
    },
    "mlp": {"explainer": "mlp", "epochs": 3, "hidden_units": 4, "learning_rate": 0.1},
    "reference": {"mode": "reference", "epochs": 2, "hidden_units": 4},
    "half": {"epochs": 3, "warm_start": "half", "distribution": "hard_concrete", "noise": True},
    "likelihood": {"epochs": 3, "similarity": "likelihood", "seeds": 2},
}
ASKED = (("a dog barks while rain falls", 0.4), ("rain", 0.4), ("thunder then a bell", 0.4), ("a siren", 0.2))


@pytest.fixture(scope="module")
def clips_of():
    made = {}

    def clips(generator):
        if generator not in made:
            made[generator] = [generator.generate(text, duration=s, seed=i) for i, (text, s) in enumerate(ASKED)]
        return made[generator]

    return clips


def passes(monkeypatch, generator):
    """The rows of each pass of the decoder, on a processor that lets all clips share them."""
    rows, own = [], generator._states
    monkeypatch.setattr(replays, "passes_agree", lambda matrices, few, many: True)
    monkeypatch.setattr(
        generator, "_states", lambda columns, *rest: (rows.append(len(columns)), own(columns, *rest))[1]
    )
    return rows


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("which", ["generator", "audiocraft_generator"])
def test_masks_of_a_batch_are_bit_for_bit_those_learned_one_at_a_time(which, settings, request, clips_of):
    generator = request.getfixturevalue(which)
    clips, method = clips_of(generator), AudioGenX(**settings)
    for clip, found in zip(clips, method.attribute_many(generator, clips), strict=True):
        alone = method.attribute(generator, clip)
        assert found.generation is clip
        assert torch.equal(found.scores, alone.scores)
        assert found.settings == alone.settings
        assert found.diagnostics == alone.diagnostics
        assert (found.deviation is None) == (alone.deviation is None)
        if alone.deviation is not None:
            assert torch.equal(found.deviation, alone.deviation)
        for name in ("model_calls", "forward_passes", "backward_passes", "forward_mode_passes", "layer_passes"):
            assert getattr(found.cost, name) == getattr(alone.cost, name)


def test_clips_of_one_length_really_share_passes(generator, clips_of, monkeypatch):
    rows = passes(monkeypatch, generator)
    AudioGenX(epochs=2, patience=0).attribute_many(generator, clips_of(generator))
    assert rows.count(6) == 2  # both masks of three clips, in each of two epochs
    assert rows.count(2) == 2 + 4  # the shorter clip apart; and each clip's own result


def test_seeds_share_passes_too_and_each_stops_at_its_own_time(generator, clips_of, monkeypatch):
    rows = passes(monkeypatch, generator)
    found = AudioGenX(**SETTINGS["seeds stop early"]).attribute(generator, clips_of(generator)[0])
    counts = [len(losses) for losses in found.diagnostics["loss_of_each_seed"]]
    assert len(set(counts)) > 1
    assert max(counts) < 30
    assert rows.count(8) == min(counts)


def test_all_passes_of_a_batch_are_in_the_costs_of_its_clips(generator, clips_of, monkeypatch):
    rows, layers, clips = passes(monkeypatch, generator), [], clips_of(generator)
    sites = generator.cross_attention()
    handles = [
        site.block.register_forward_pre_hook(lambda _, given, named: layers.append(len(given[0])), with_kwargs=True)
        for site in sites
    ]
    try:
        found = AudioGenX(epochs=2).attribute_many(generator, clips)
    finally:
        for handle in handles:
            handle.remove()
    assert sum(each.cost.forward_passes for each in found) == sum(rows)
    assert sum(each.cost.layer_passes for each in found) == sum(layers) - len(sites) * sum(rows)
    assert {each.cost.backward_passes for each in found} == {2 * 2}


def test_the_seconds_of_a_batch_are_shared(generator, clips_of):
    from time import perf_counter

    started = perf_counter()
    found = AudioGenX(epochs=2).attribute_many(generator, clips_of(generator))
    took = perf_counter() - started
    assert 0.5 * took < sum(each.cost.seconds for each in found) <= took


def test_out_of_memory_halves_the_batch_and_changes_no_mask(generator, clips_of, monkeypatch):
    clips, method, sizes = clips_of(generator)[:3], AudioGenX(epochs=2), []
    expected = method.attribute_many(generator, clips)
    own = type(generator).hidden_states_many

    def limited(self, asked):
        sizes.append(len(asked))
        if len(asked) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(self, asked)

    monkeypatch.setattr(type(generator), "hidden_states_many", limited)
    for one, other in zip(method.attribute_many(generator, clips), expected, strict=True):
        assert torch.equal(one.scores, other.scores)
    assert sizes[:4] == [3, 2, 2, 1]


def test_out_of_memory_for_one_clip_is_named(generator, clips_of, monkeypatch):
    def broken(self, asked):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(generator), "hidden_states_many", broken)
    with pytest.raises(ShortOfMemoryError, match="not enough memory for method 'audiogenx'"):
        AudioGenX(epochs=2).attribute_many(generator, clips_of(generator)[:2])


def test_no_clips_give_no_explanations(generator):
    assert AudioGenX().attribute_many(generator, []) == []


def test_progress_runs_over_all_clips(generator, clips_of):
    reports = []
    AudioGenX(epochs=2, patience=0).attribute_many(generator, clips_of(generator), on_progress=reports.append)
    assert [report.done for report in reports] == sorted(report.done for report in reports)
    assert reports[-1].done == reports[-1].total == 2 * len(ASKED)


# -- the pass that they share ------------------------------------------------------------------------------------------


def replays_of(generator, clips, gate):
    return [
        Replay(clip, generator.encode_prompt([clip.prompt]).expand(2), gate(2, clip.positions, len(clip.tokens)))
        for clip in clips
    ]


@pytest.mark.parametrize("which", ["generator", "audiocraft_generator"])
def test_a_shared_pass_is_what_the_contract_says_gradients_too(which, request, clips_of):
    generator = request.getfixturevalue(which)
    asked = replays_of(generator, clips_of(generator), lambda *shape: torch.rand(shape, requires_grad=True))
    found = []
    for run in (generator.hidden_states_many, lambda asked: Generator.hidden_states_many(generator, asked)):
        states = run(asked)
        gradients = torch.autograd.grad(sum(each.square().sum() for each in states), [each.gate for each in asked])
        found.append([*states, *gradients])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_processor_whose_rows_never_agree_runs_one_clip_at_a_time(generator, clips_of, monkeypatch):
    rows = passes(monkeypatch, generator)
    monkeypatch.setattr(replays, "passes_agree", lambda matrices, few, many: False)
    generator.hidden_states_many(replays_of(generator, clips_of(generator), torch.ones))
    assert rows == [2] * len(ASKED)


def test_a_callers_own_edit_sees_one_clip_at_a_time(generator, clips_of):
    clip = clips_of(generator)[0]
    with edit_attention(generator.cross_attention(), capture := Capture()):
        generator.hidden_states_many(replays_of(generator, [clip, clip], torch.ones))
    assert capture.weights().shape[0] == 2
