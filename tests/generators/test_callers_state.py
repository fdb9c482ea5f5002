"""Calls of a generator under whatever modes and defaults its caller has set: the same numbers, and all put back."""

import copy
from contextlib import contextmanager

import pytest
import torch

from tagxai.contract.request import Request
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator
from tagxai.generators.transformers.model import TransformersGenerator

PROMPT = "a dog barks while rain falls"


@pytest.fixture(scope="module", params=["random", "audiocraft", "tiny", "latent"])
def model(request):
    if request.param in ("tiny", "latent"):
        return load_generator(request.param)
    return request.getfixturevalue({"random": "generator", "audiocraft": "audiocraft_generator"}[request.param])


def calls(model, clip):
    """What each direct call gives."""
    conditioning = model.encode_prompt([PROMPT])
    plain = model.forward(clip, conditioning, branch="guided")
    many = model.generate_many([Request(PROMPT, 0.2, 1), Request("rain", 0.2, 2)])
    return {
        "encode_prompt": conditioning.embeddings,
        "forward": plain.log_prob,
        "hidden": plain.hidden,
        "hidden_states": model.hidden_states(clip),
        "generate": model.generate(PROMPT, duration=0.2, seed=1).waveform,
        "generate_many, first": many[0].waveform,
        "generate_many, second": many[1].waveform,
        "decode": model.decode(clip),
    } | ({"isolated_states": model.isolated_states(clip, conditioning)} if "causal" in model.offers else {})


@pytest.fixture(scope="module")
def clip(model):
    return model.generate(PROMPT, duration=0.2, seed=3)


@pytest.fixture(scope="module")
def expected(model, clip):
    return calls(model, clip)


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
        assert torch.get_default_dtype() == dtype  # not changed by what was called
    finally:
        torch.set_default_dtype(torch.float32)


STATES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "another default device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("state", STATES)
def test_direct_calls_give_the_same_numbers_in_every_state(state, model, clip, expected):
    with STATES[state]():
        found = calls(model, clip)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
        assert not found[name].is_inference()


def test_a_model_in_training_mode_is_evaluated_for_the_call_and_put_back(model, clip, expected):
    parts = [part for held in model.modules().values() for part in held.modules()]
    dropped = [part for part in parts if isinstance(part, torch.nn.Dropout)]
    rates = [part.p for part in dropped]
    for part in dropped:
        part.p = 0.5
    chosen = [part for i, part in enumerate(parts) if i % 3]  # a part of it
    for part in chosen:
        part.training = True
    try:
        found = calls(model, clip)
        assert all(part.training for part in chosen)
        assert sum(part.training for part in parts) == len(chosen)
    finally:
        for part in parts:
            part.training = False
        for part, rate in zip(dropped, rates, strict=True):
            part.p = rate
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_a_model_loaded_in_another_state_is_the_same(model, clip, expected):
    spec = f"{model.name}:{model.source}" if model.source else model.name
    with default_dtype(torch.float64), torch.inference_mode():
        loaded = load_generator(spec)
    assert torch.equal(loaded.forward(clip, branch="guided").log_prob, expected["forward"])
    assert not any(weight.is_inference() for held in loaded.modules().values() for weight in held.parameters())


@pytest.mark.parametrize("by", ["release", "borrowed"])
def test_a_wrapped_model_is_the_callers_again(random_model, by):
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    model = MusicgenForConditionalGeneration.from_pretrained(random_model).train()
    model.text_encoder.requires_grad_(False).eval()
    before = [part.training for part in model.modules()], [weight.requires_grad for weight in model.parameters()]
    generator = TransformersGenerator(model, AutoTokenizer.from_pretrained(random_model))
    assert not any(weight.requires_grad for weight in model.parameters())
    assert not any(part.training for part in model.modules())
    if by == "release":
        generator.release()
    else:
        with generator.borrowed() as same:
            made = same.generate(PROMPT, duration=0.2, seed=3).record["codes"]
    assert ([part.training for part in model.modules()], [w.requires_grad for w in model.parameters()]) == before
    again = generator.generate(PROMPT, duration=0.2, seed=3).record["codes"]  # it still works
    assert [part.training for part in model.modules()] == before[0]
    if by == "borrowed":
        assert torch.equal(made, again)

    def fail():
        with generator.borrowed():
            assert not any(weight.requires_grad for weight in model.parameters())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [weight.requires_grad for weight in model.parameters()] == before[1]
    with generator.borrowed():
        with generator.borrowed():
            pass
        assert not any(weight.requires_grad for weight in model.parameters())
    assert [weight.requires_grad for weight in model.parameters()] == before[1]
    assert "_before" not in vars(generator)  # it would count as a setting of the model


def test_a_model_loaded_by_its_caller_in_inference_mode_is_refused_in_one_sentence(random_model):
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    model, tokenizer = (cls.from_pretrained(random_model) for cls in (MusicgenForConditionalGeneration, AutoTokenizer))
    with torch.inference_mode():
        model = copy.deepcopy(model)
    with pytest.raises(UnsupportedError, match=r"^this model was loaded under torch.inference_mode"):
        TransformersGenerator(model, tokenizer)


def test_a_mask_that_is_not_finite_is_one_sentence(generator):
    clip = generator.generate("rain", duration=0.2)
    mask = torch.full((clip.positions, len(clip.tokens)), torch.nan)
    with pytest.raises(TagxaiError, match=r"^the mask .* is not finite$"):
        generator.generate("rain", duration=0.2, mask=mask)
