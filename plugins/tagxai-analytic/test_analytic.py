"""The model is what its closed form says, and every method with a closed form hits it."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from tagxai_analytic import AnalyticGenerator, ClosedForm

from tagxai import TagxaiError
from tagxai.contract.attention import edit_attention
from tagxai.errors import UnsupportedError
from tagxai.probing.edits import Gate
from tagxai.registering.registry import registry
from tagxai.scoring import all_subsets, leave_one_out, score, shapley
from tagxai.testing import check_generator, check_method
from tagxai.text.words import words

EXACT = {"atol": 2e-6, "rtol": 1e-5}  # float32 against float64
LINKS = ["linear", "logistic"]
OPERATORS = ["gate", "null", "attention", "delete"]
MIXED = "a loud bell without siren then quietly thunder"  # additive, a pair in one token, negation, a part of the clip
PROMPTS = [MIXED, "rain and drizzle while dog barks", "wind waves gulls distant echo", "the siren and bell and bell"]
FEW = {"samples": 2}
QUICK = {"audiogenx": {"epochs": 2}, "smooth_grad": FEW, "gradient_shap": FEW, "integrated_gradients": {"points": 2}}


@pytest.fixture(scope="module", params=LINKS)
def generator(request):
    return AnalyticGenerator.load(request.param)


@pytest.fixture(scope="module")
def linear():
    return AnalyticGenerator.load("linear")


def explain(name, generator, clip, **options):
    return registry().method(name)(**options).attribute(generator, clip)


def row(attribution, clip, word):
    """The scores of one word, of all codes."""
    return attribution.scores[..., ClosedForm(clip).words.index(word)]


# -- the model -------------------------------------------------------------------------------------------------------


def test_it_keeps_the_contract_of_generators(generator):
    check_generator(generator)


def test_another_source_is_refused_with_the_choices():
    with pytest.raises(TagxaiError, match="choices: linear, logistic"):
        AnalyticGenerator.load("linearr")


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_subset_of_words_has_the_log_probability_of_its_closed_form(generator, prompt, operator):
    clip = generator.generate(prompt, seed=1)
    units = words(clip.prompt, clip.spans, clip.tokens)
    masks = torch.rand(12, len(units), generator=torch.Generator().manual_seed(0)) < 0.6
    masks = torch.cat([masks, leave_one_out(len(units)), torch.zeros(1, len(units), dtype=torch.bool)])
    closed = ClosedForm(clip, operator)
    for kept, log_prob in zip(
        masks.tolist(), score(generator, clip, units, masks, operator=operator).log_prob, strict=True
    ):
        torch.testing.assert_close(log_prob.double(), closed.log_prob(kept), **EXACT)


def test_the_linear_clip_is_code_one_throughout_and_its_log_probability_is_its_words_strengths(linear):
    clip = linear.generate("bell while rain", duration=0.6)
    assert (clip.record["codes"] == 1).all()
    log_prob = linear.forward(clip).log_prob[0]
    torch.testing.assert_close(log_prob, torch.full((2, 6), -0.35 + 2 / 32))


def test_a_gate_acts_at_its_own_step_on_the_codes_that_are_predicted_there(linear):
    clip = linear.generate("bell while rain", duration=0.6)
    gate = torch.ones(clip.positions, len(clip.tokens))
    gate[3] = 0.5
    with edit_attention(linear.cross_attention(), Gate(gate)):
        lost = linear.forward(clip).log_prob[0] - ClosedForm(clip).log_prob([True] * 4)
    expected = torch.zeros(2, 6, dtype=torch.float64)
    expected[0, 3] = expected[1, 2] = -1 / 32  # codebook 1 lags by a step
    torch.testing.assert_close(lost, expected, **EXACT)


def test_code_one_is_heard_as_the_tone_of_its_codebook(linear):
    waveform = linear.decode_codes(torch.tensor([[1, 0, 1, 0], [0, 0, 1, 0]]))[0]
    frames = waveform.reshape(4, -1)
    power = torch.fft.rfft(frames).abs()  # of 0.1 s: bins of 10 Hz
    assert power[0].argmax() == 44
    assert power[2].topk(2).indices.sort().values.tolist() == [44, 66]
    assert not frames[1].any()
    assert not frames[3].any()


# -- closed forms against their definitions --------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ["gate", "delete"])
def test_the_closed_shapley_and_banzhaf_values_are_mean_gains(linear, operator):
    for prompt in ("wind waves gulls bell", "loud bell without siren"):
        closed = ClosedForm(linear.generate(prompt, duration=0.1), operator)
        n = len(closed.words)
        expected = torch.zeros_like(closed.shapley())
        orders = list(permutations(range(n)))
        for order in orders:
            for place, token in enumerate(order):
                before = [i in order[:place] for i in range(n)]
                after = [i in order[: place + 1] for i in range(n)]
                expected[..., token] += (closed.log_prob(after) - closed.log_prob(before)) / len(orders)
        torch.testing.assert_close(closed.shapley(), expected)
        torch.testing.assert_close(closed._mean_gain(lambda others, size: 0.5**others), closed.banzhaf())


def test_a_triple_tells_shapley_from_banzhaf_and_from_leave_one_out(linear):
    closed = ClosedForm(linear.generate("wind waves gulls", duration=0.1))
    for scores, share in ((closed.shapley(), 1 / 3), (closed.banzhaf(), 1 / 4), (closed.leave_one_out(), 1.0)):
        torch.testing.assert_close(scores[1, 0] * 32, torch.tensor([3 * share] * 3 + [0.0], dtype=torch.float64))


# -- the methods -----------------------------------------------------------------------------------------------------


# They look into layers, of which this model has none.
LAYERED = {
    *("alti", "attention_grad_cam", "generic_attention"),
    *("gradient_x_attention", "value_norms", "value_zeroing"),
    *("alti_logit", "attn_lrp", "share_x_alti_logit", "share_x_effect"),
}


@pytest.mark.parametrize(
    "name",
    [name for name, entry in registry().methods.items() if name not in LAYERED and "coupled" not in entry.cls.needs],
)
def test_every_registered_method_runs_on_it(name):
    check_method(registry().method(name).configure(QUICK.get(name, {})), AnalyticGenerator.load())


@pytest.mark.parametrize("name", sorted(LAYERED))
def test_methods_that_look_into_layers_say_that_there_are_none(name):
    generator = AnalyticGenerator.load()
    with pytest.raises(UnsupportedError, match="attention site 'cross' does not"):
        registry().method(name)().attribute(generator, generator.generate("rain"))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_shapley_values_are_exact(generator, prompt, operator):
    clip = generator.generate(prompt, duration=0.7, seed=1)
    found = explain("shapley", generator, clip, operator=operator)
    torch.testing.assert_close(found.scores.double(), ClosedForm(clip, operator).shapley(), **EXACT)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_leave_one_out_is_exact(generator, prompt):
    pytest.importorskip("tagxai_leave_one_out")
    clip = generator.generate(prompt, duration=0.7, seed=1)
    found = explain("leave_one_out", generator, clip).scores
    torch.testing.assert_close(found.double(), ClosedForm(clip, "null").leave_one_out(), **EXACT)


@pytest.mark.parametrize("operator", OPERATORS)
def test_leaving_one_out_of_the_score_table_is_exact(generator, operator):
    clip = generator.generate(MIXED, duration=0.7, seed=1)
    units = words(clip.prompt, clip.spans, clip.tokens)
    table = score(generator, clip, units, leave_one_out(len(units)), operator=operator)
    lost = (table.log_prob[:1] - table.log_prob[1:]).permute(1, 2, 0)
    torch.testing.assert_close(lost.double(), ClosedForm(clip, operator).leave_one_out(), **EXACT)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_input_x_gradient_is_exact(generator, prompt):
    clip = generator.generate(prompt, duration=0.7, seed=1)
    found = explain("input_x_gradient", generator, clip).scores
    torch.testing.assert_close(found.double(), ClosedForm(clip).input_x_gradient(), **EXACT)


@pytest.mark.parametrize("prompt", ["a bell then quietly thunder", "dog barks while distant echo", "wind waves gulls"])
def test_integrated_gradients_are_exact(generator, prompt):
    clip = generator.generate(prompt, duration=0.7, seed=1)
    closed = ClosedForm(clip)
    found = explain("integrated_gradients", generator, clip)
    torch.testing.assert_close(found.scores.double(), closed.integrated_gradients(), **EXACT)
    n = len(clip.tokens)
    effect = closed.log_prob([True] * n) - closed.log_prob([False] * n)
    torch.testing.assert_close(found.scores.double().sum(-1), effect, **EXACT)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_integrated_gradients_of_a_polynomial_are_exact(linear, prompt):
    clip = linear.generate(prompt, duration=0.7)
    found = explain("integrated_gradients", linear, clip, points=2)  # two points integrate a cubic exactly
    torch.testing.assert_close(found.scores.double(), ClosedForm(clip).integrated_gradients(), **EXACT)


def test_integrated_gradients_without_a_closed_form_are_refused_by_it():
    linear, logistic = (AnalyticGenerator.load(link).generate("loud bell", duration=0.5) for link in LINKS)
    for clip in (logistic, replace(linear, record={"codes": torch.zeros_like(linear.record["codes"])})):
        with pytest.raises(ValueError, match="several degrees"):
            ClosedForm(clip).integrated_gradients()


def test_only_methods_that_look_at_words_together_credit_redundant_words(linear):
    clip = linear.generate("rain and drizzle", duration=0.5)
    for name, each in (("input_x_gradient", 0), ("shapley", 1), ("integrated_gradients", 1)):
        found = explain(name, linear, clip)
        for word in ("rain", "drizzle"):
            torch.testing.assert_close(row(found, clip, word)[1] * 32, torch.full((5,), float(each)), **EXACT)
    assert ClosedForm(clip).leave_one_out().abs().max() < 1e-12


@pytest.mark.parametrize("name", ["shapley", "input_x_gradient", "integrated_gradients"])
def test_words_that_suppress_are_negative(linear, name):
    clip = linear.generate("siren without bell quietly", duration=0.5)
    found = explain(name, linear, clip)
    assert (row(found, clip, "without")[0] < -2 / 32).all()
    assert (row(found, clip, "quietly")[0] < -0.9 / 32).all()
    assert (row(found, clip, "bell")[0] > 1.9 / 32).all()


@pytest.mark.parametrize("name", ["shapley", "input_x_gradient", "integrated_gradients"])
def test_a_word_that_acts_in_a_part_of_the_clip_is_found_there_alone(linear, name):
    clip = linear.generate("thunder then an echo", duration=1.0)
    found = explain(name, linear, clip)
    early = torch.arange(10) < 5
    torch.testing.assert_close(row(found, clip, "thunder")[0] * 32, 2.0 * early, **EXACT)
    torch.testing.assert_close(row(found, clip, "echo")[1] * 32, 2.0 * ~early, **EXACT)
    assert not row(found, clip, "thunder")[1].any()


def test_a_word_inside_the_text_encoder_is_found_by_deleting_it_and_not_at_its_token(linear):
    clip = linear.generate("a distant rumble", duration=0.5)  # "rumble" says nothing, but carries "distant"
    for operator in ("gate", "null", "delete"):
        found = explain("shapley", linear, clip, operator=operator)
        own, carrier = (row(found, clip, word)[1].mean() * 32 for word in ("distant", "rumble"))
        expected = (1.0, 0.0) if operator == "delete" else (0.0, 1.0)
        assert (own.item(), carrier.item()) == pytest.approx(expected, abs=1e-4)


def test_raw_attention_is_what_the_site_does_which_explains_nothing(linear):
    clip = linear.generate("bell then a rumble", duration=1.0)
    n = len(clip.tokens)
    uniform = explain("cross_attention", linear, clip, heads="0").scores
    torch.testing.assert_close(uniform, torch.full_like(uniform, 1 / n))
    gaze = explain("cross_attention", linear, clip, heads="1").scores
    for frame in range(10):
        for codebook in range(2):
            near = [2.718281828 ** -abs(token - (frame + codebook)) for token in range(n)]
            expected = torch.tensor([value / sum(near) for value in near])
            torch.testing.assert_close(gaze[codebook, frame], expected, **EXACT)
    both = explain("cross_attention", linear, clip).scores
    torch.testing.assert_close(both, (uniform + gaze) / 2)
    per_word = {score.text: score.score for score in explain("cross_attention", linear, clip).per_word()}
    assert per_word["</s>"] > per_word["bell"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("link", LINKS)
def test_audiogenx_keeps_the_words_that_act_when_they_act_and_drops_the_others(link, seed):
    generator = AnalyticGenerator.load(link)
    clip = generator.generate("the bell and thunder quickly", seed=seed)
    found = explain("audiogenx", generator, clip, seed=seed, epochs=30)
    mask = {word: found.scores[0, :, i] for i, word in enumerate(ClosedForm(clip).words)}
    idle = torch.stack([mask[word] for word in ("the", "and", "quickly", "")])
    assert mask["bell"].min() > 0.8
    assert mask["thunder"][:5].min() > 0.8
    assert mask["thunder"][5:].max() < 0.4
    assert idle.max() < 0.4


def test_the_log_probability_of_a_batch_of_subsets_gives_the_shapley_values_of_the_prompt(linear):
    clip = linear.generate("dog barks quietly", duration=0.5)
    units = words(clip.prompt, clip.spans, clip.tokens)
    values = shapley(score(linear, clip, units, all_subsets(len(units)))) * 32
    expected = torch.tensor([1.5, 1.5, -1.0, 0.0])
    torch.testing.assert_close(values[:, 0, 0], expected, atol=1e-4, rtol=0)
