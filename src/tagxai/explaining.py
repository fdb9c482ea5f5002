"""The main path: prompt -> generate -> attribute, by names."""

from __future__ import annotations

from typing import Any

from tagxai.attribution import Attribution
from tagxai.base import Generator, Method
from tagxai.errors import TagxaiError
from tagxai.registry import registry
from tagxai.types import OnProgress


def load_generator(spec: str = "tiny", *, device: str = "cpu", dtype: str = "float32") -> Generator:
    """A generator by name, or by `name:source` where the source is a folder or hub id ("musicgen:./my-model")."""
    name, _, source = spec.partition(":")
    return registry().generator(name).load(source or None, device=device, dtype=dtype)


def make_method(name: str, options: dict[str, Any] | None = None) -> Method:
    """A method by name; option values may be text, as from the command line."""
    return registry().method(name).configure(options or {})


def explain(
    prompt: str,
    *,
    method: str | Method = "audiogenx",
    generator: str | Generator = "tiny",
    duration: float | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Attribution:
    """Generate `duration` seconds of audio from `prompt` and say which words made which seconds.

    `options` are the method's hyper-parameters, where it is given by name. Raises TagxaiError.
    """
    if isinstance(method, Method) and options:
        raise TagxaiError("options go with a method's name; give them to the method itself")
    chosen = make_method(method, options) if isinstance(method, str) else method
    model = load_generator(generator) if isinstance(generator, str) else generator
    chosen.check_supported(model)
    generation = model.generate(prompt, duration=duration, seed=seed, on_progress=on_progress)
    return chosen.attribute(model, generation, on_progress=on_progress)
