"""The check of a metric's contract."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import get_args

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.metric import MethodMetric, Metric
from tagxai.contract.values import Generation
from tagxai.errors import UnsupportedError
from tagxai.lazy import torch
from tagxai.testing.checkpoints import random_generator
from tagxai.testing.failures import OffersNothing
from tagxai.testing.methods import PROMPTS
from tagxai.testing.promises import Promise, global_seed


def check_metric(
    metric: Metric | type[Metric],
    generator: Generator | None = None,
    *,
    prompt: str = PROMPTS[0],
    duration: float = 0.6,
) -> None:
    """Check a metric on masks and on signed scores: random, all equal, and all zero; a metric that runs the
    method again, on an explanation by cross-attention.

    The default `generator` is a small random one; for a metric that needs the truth, it makes up a truth.
    """
    metric = metric() if isinstance(metric, type) else metric
    promise = Promise("metric", metric)
    promise.is_described(type(metric))
    promise(isinstance(getattr(metric, "family", None), str), "declares no `family`")
    promise(isinstance(getattr(metric, "higher_is_better", None), bool), "declares no direction: `higher_is_better`")
    bounds = getattr(metric, "bounds", (0, 0))
    promise(len(bounds) == 2 and bounds[0] < bounds[1], "declares no `bounds`: (smallest, largest)")

    unknown = set(metric.needs) - set(get_args(Capability))
    promise(not unknown, f"needs {unknown}; the capabilities are {get_args(Capability)}")

    generator = generator or random_generator(truth="truth" in metric.needs)
    clip = generator.generate(prompt, duration=duration, seed=5)
    if metric.needs:
        unexplained = Attribution(clip, torch.zeros(1, clip.frames, len(clip.tokens)), "random")
        promise.raises(
            UnsupportedError,
            lambda: metric.score(OffersNothing(), clip, unexplained),
            f"for a generator that does not offer {', '.join(sorted(metric.needs))}",
        )
    shape = (1, clip.frames, len(clip.tokens))
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    if isinstance(metric, MethodMetric):
        from tagxai.methods.cross_attention import CrossAttention

        method = CrossAttention()
        explained = method.attribute(generator, clip)
        _check_value(
            promise,
            bounds,
            "a method",
            generator,
            clip,
            lambda: metric.score_method(generator, clip, explained, method),
        )
        return
    for scores, is_mask, what in (
        (drawn, True, "a random mask"),
        (torch.ones(shape), True, "a mask of ones"),
        (torch.zeros(shape), True, "a mask of zeros"),
        (drawn - 0.5, False, "signed scores"),
        (torch.full(shape, 2.0), False, "equal scores"),
    ):
        attribution = Attribution(clip, scores, "random", is_mask=is_mask, merge="mean" if is_mask else "sum")
        _check_value(promise, bounds, what, generator, clip, partial(metric.score, generator, clip, attribution))


def _check_value(
    promise: Promise,
    bounds: tuple[float, float],
    what: str,
    generator: Generator,
    clip: Generation,
    call: Callable[[], float],
) -> None:
    with global_seed(1), promise.leaves_alone(generator, clip):
        value = call()
    promise(isinstance(value, float), f"returns a {type(value).__name__} for {what}; expected a float")
    promise(math.isfinite(value), f"is {value} for {what}")
    promise(bounds[0] <= value <= bounds[1], f"is {value:g} for {what}, outside its bounds {bounds}")
    with global_seed(2):
        promise(call() == value, f"gives a different value for {what} in a second run")
