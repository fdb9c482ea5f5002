"""The main path, by names: prompt -> generate -> attribute, and audio that puts the explanation to the test."""

from __future__ import annotations

import warnings
from typing import Any

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import OnProgress
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator, make_method, prompt_warnings


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

    `options` are the hyper-parameters of a method that is given by name. Raises TagxaiError; warns where the model
    cannot read all of the prompt (`prompt_warnings`).
    """
    if isinstance(method, Method) and options:
        raise TagxaiError("options are for a method given by name; give them to the method itself")
    chosen = make_method(method, options) if isinstance(method, str) else method
    model = load_generator(generator) if isinstance(generator, str) else generator
    chosen.check_supported(model)
    for warning in prompt_warnings(model, prompt) if prompt.strip() else ():
        warnings.warn(warning, stacklevel=2)
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
