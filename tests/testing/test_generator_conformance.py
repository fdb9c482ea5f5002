"""Broken generators and metrics: the conformance kit finds each fault, in one sentence."""

from dataclasses import replace

import pytest
import torch

from tagxai import Metric
from tagxai.errors import TagxaiError
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.methods.random import Random
from tagxai.metrics.mask_size import MaskSize
from tagxai.testing import ConformanceError, check_generator, check_metric


class Sloppy(TransformersGenerator):
    """The base of generators that each break one promise."""


class IgnoresPadding(Sloppy):
    """Attends to padding."""

    def encode_prompt(self, prompts):
        encoded = super().encode_prompt(prompts)
        return replace(encoded, embeddings=encoded.embeddings + 1.0)

    def forward(self, generation, conditioning=None, **options):
        conditioning = conditioning or self.encode_prompt([generation.prompt])
        seen = replace(conditioning, mask=torch.ones_like(conditioning.mask))
        return super().forward(generation, seen, **options)


class ForgetsTheDelay(Sloppy):
    """Reads the codes of a later step."""

    def hidden_states(self, generation, conditioning=None, **options):
        codes = generation.record["codes"].roll(-1, 1)
        return super().hidden_states(replace(generation, record={"codes": codes}), conditioning, **options)


class ForgetsThePosition(Sloppy):
    """Streams without saying where it is, so that a mask's first step gates them all."""

    def generate(self, prompt, **options):
        mask = options.pop("mask", None)
        return super().generate(prompt, mask=None if mask is None else mask[:1].expand_as(mask), **options)


class Unrepeatable(Sloppy):
    """Ignores the seed."""

    def generate(self, prompt, **options):
        made = super().generate(prompt, **{**options, "seed": int(torch.randint(1 << 20, ()))})
        return replace(made, seed=options.get("seed", 0))


class AnyDuration(Sloppy):
    """Makes what was not asked for."""

    def generate(self, prompt, *, duration=None, **options):
        return super().generate(prompt, duration=duration and min(max(duration, 0.2), 1.0), **options)


class Thawed(Sloppy):
    """Does not freeze its weights."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.model.requires_grad_(True)


class LeakyBranch(Sloppy):
    """Hears the prompt in the unconditional branch."""

    def forward(self, generation, conditioning=None, *, branch="conditional", **options):
        return super().forward(generation, conditioning, branch="conditional", **options)


class OtherSound(Sloppy):
    """Decodes to another sound each time."""

    def decode(self, codes):
        return super().decode(codes) + torch.rand(())


@pytest.mark.parametrize(
    ("generator_class", "broken"),
    [
        (IgnoresPadding, "differently in a padded batch than alone"),
        (ForgetsTheDelay, "computes hidden states of .* differently among several clips"),
        (ForgetsThePosition, "differs between masked streaming and a masked teacher-forced pass"),
        (Unrepeatable, "global random state|another clip from the same prompt and seed"),
        (AnyDuration, "raises nothing for a clip of"),
        (Thawed, "does not freeze its weights"),
        (LeakyBranch, "unconditional branch that depends on the prompt"),
        (OtherSound, "decodes the record to another sound than it returned"),
    ],
)
def test_a_generator_that_breaks_its_contract_learns_which_promise(generator_class, broken, random_model):
    with pytest.raises(ConformanceError, match=broken):
        check_generator(generator_class.load(str(random_model)))


def test_a_generator_that_swallows_an_empty_prompt_is_found(own_generator):
    class Undemanding(Sloppy):
        """Says something for no prompt."""

        def generate(self, prompt, **options):
            return super().generate(prompt.strip() or "a", **options)

    broken = Undemanding(own_generator.model, own_generator.tokenizer)
    with pytest.raises(ConformanceError, match="raises nothing for an empty prompt"):
        check_generator(broken)


@pytest.mark.parametrize(
    ("value", "broken"),
    [
        (float("nan"), "is nan for a random mask"),
        (1.5, "outside its bounds"),
        (1, "returns a int"),
    ],
)
def test_a_metric_that_breaks_its_contract_learns_which_promise(value, broken, own_generator):
    class Wrong(MaskSize):
        """A constant."""

        def score(self, generator, generation, attribution):
            return value

    with pytest.raises(ConformanceError, match=broken):
        check_metric(Wrong, own_generator)


def test_a_metric_without_a_direction_is_found(own_generator):
    class Directionless(Metric):
        """Says not what is good."""

        name, family, bounds = "directionless", "complexity", (0.0, 1.0)

        def score(self, generator, generation, attribution):
            return 0.5

    with pytest.raises(ConformanceError, match="direction"):
        check_metric(Directionless, own_generator)


def test_conformance_errors_are_assertion_errors_and_not_users_mistakes():
    assert issubclass(ConformanceError, AssertionError)
    assert not issubclass(ConformanceError, TagxaiError)


def test_random_depends_on_its_seed_alone(generator, generation):
    first, again, other = (Random(seed=seed).attribute(generator, generation).scores for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
