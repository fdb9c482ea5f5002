"""The main path, by names: prompt -> generate -> attribute, and audio that puts the explanation to the test."""

from __future__ import annotations

import warnings
from typing import Any

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import OnProgress
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import doubts, load_generator, make_method


def explain(
    prompt: str,
    *,
    method: str | Method = "audiogenx",
    generator: str | Generator = "tiny",
    duration: float | None = None,
    seed: int = 0,
    guidance_scale: float | None = None,
    top_k: int | None = None,
    temperature: float | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Attribution:
    """Generate `duration` seconds of audio from `prompt` and say which words made which seconds.

    `options` are the method's hyper-parameters, where it is given by name. Raises TagxaiError; warns of what the
    model cannot read of the prompt (`doubts`).
    """
    if isinstance(method, Method) and options:
        raise TagxaiError("options go with a method's name; give them to the method itself")
    chosen = make_method(method, options) if isinstance(method, str) else method
    model = load_generator(generator) if isinstance(generator, str) else generator
    chosen.check_supported(model)
    for doubt in doubts(model, prompt) if prompt.strip() else ():
        warnings.warn(doubt, stacklevel=2)
    generation = model.generate(
        prompt,
        duration=duration,
        seed=seed,
        guidance_scale=guidance_scale,
        top_k=top_k,
        temperature=temperature,
        on_progress=on_progress,
    )
    return chosen.attribute(model, generation, on_progress=on_progress)
