"""The check of a method's contract."""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import get_args

from tagxai.contract.attention import edit_attention
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, Progress
from tagxai.errors import UnsupportedError
from tagxai.lazy import torch
from tagxai.testing.checkpoints import random_generator
from tagxai.testing.failures import DeliberateFailure, FailingEdit, OffersNothing, fail
from tagxai.testing.promises import Promise, check_progress, global_seed

PROMPTS = ("a dog barks while rain falls", "thunder then a bell", "the sound of a bell ringing then a siren")


def check_method(
    method: Method | type[Method],
    generator: Generator | None = None,
    *,
    prompts: Sequence[str] = PROMPTS,
    duration: float = 0.6,
) -> None:
    """Check a method on `generator` (default: a small random one), on clips of `duration` seconds.

    The method runs up to seven times: give it settings that are quick.
    """
    method = method() if isinstance(method, type) else method
    promise = Promise("method", method)
    promise.is_described(type(method))
    parameters = getattr(type(method), "__dataclass_params__", None)
    promise(parameters is not None and parameters.frozen, "is not a frozen dataclass")
    unknown = set(method.needs) - set(get_args(Capability))
    promise(not unknown, f"needs {unknown}; the capabilities are {get_args(Capability)}")
    promise.is_json(method.settings(), "settings")
    promise(type(method).configure(method.settings()) == method, "is not rebuilt by `configure` from its own settings")

    generator = generator or random_generator()
    clip, other = (generator.generate(prompt, duration=duration, seed=5) for prompt in prompts[:2])
    if method.needs:
        promise.raises(
            UnsupportedError,
            lambda: method.attribute(OffersNothing(), clip),
            f"for a generator that does not offer {', '.join(sorted(method.needs))}",
        )

    reports: list[Progress] = []
    with global_seed(1), promise.leaves_alone(generator, clip):
        attribution = method.attribute(generator, clip, on_progress=reports.append)
    _check_attribution(promise, method, attribution, clip)
    check_progress(promise, reports)

    method.attribute(generator, other)  # in between, so that state kept from another clip would show
    with global_seed(2):
        again = method.attribute(generator, clip)
    promise(
        torch.equal(again.scores, attribution.scores),
        "gives different scores in a second run: it keeps state between clips, or draws without its seed",
    )
    if method.explains_together:
        first, second = method.attribute_many(generator, [other, clip])
        same = first.generation is other and torch.equal(second.scores, attribution.scores)
        promise(same, "explains a clip otherwise among several than alone")
    _check_failure(promise, method, generator, clip, reported=bool(reports))


def _check_attribution(promise: Promise, method: Method, attribution: Attribution, clip: Generation) -> None:
    promise(isinstance(attribution, Attribution), f"returns a {type(attribution).__name__}, not an Attribution")
    promise(attribution.generation is clip, "returns an attribution of another generation than it was given")
    promise(attribution.method == method.name, f"calls itself {attribution.method!r} in its attribution")
    for option, value in method.settings().items():  # where it is None or "auto", the method stores what it chose
        used = attribution.settings.get(option)
        promise(used == value or value in (None, "auto"), f"stores {used!r} for its setting {option}={value!r}")
    scores = attribution.scores
    promise(scores.is_floating_point() and not scores.requires_grad, "returns scores that are not plain floats")
    promise(bool(torch.isfinite(scores).all()), "returns scores that are not finite")
    if attribution.is_mask:
        promise(bool(((scores >= 0) & (scores <= 1)).all()), "calls its scores a mask, but some are outside [0, 1]")
    promise.is_json([attribution.cost.to_json(), dict(attribution.diagnostics)], "cost or diagnostics")
    promise(all(value >= 0 for value in attribution.cost.to_json().values()), "has a negative cost")
    with TemporaryDirectory() as folder:
        loaded = Attribution.load(attribution.save(folder))
    promise(torch.equal(loaded.scores, scores.cpu()), "gives scores that change when saved and loaded")
    promise(loaded.per_word() == attribution.per_word(), "gives word scores that change when saved and loaded")


def _check_failure(promise: Promise, method: Method, generator: Generator, clip: Generation, *, reported: bool) -> None:
    """An exception from inside the model, or from the progress callback, comes through and leaves nothing behind."""
    if "attention" in generator.offers:
        site = list(generator.cross_attention())[-1:]
        calls = FailingEdit()
        with edit_attention(site, calls):
            method.attribute(generator, clip)
        for call in sorted({1, calls.seen}) if calls.seen else ():
            situation = f" after an exception in call {call} of an attention site"
            with promise.leaves_alone(generator, clip, situation), edit_attention(site, FailingEdit(call)):
                promise.raises(DeliberateFailure, lambda: method.attribute(generator, clip), situation.strip())
    if reported:
        situation = " after an exception in on_progress"
        with promise.leaves_alone(generator, clip, situation):
            promise.raises(
                DeliberateFailure,
                lambda: method.attribute(generator, clip, on_progress=fail),
                situation.strip(),
            )
