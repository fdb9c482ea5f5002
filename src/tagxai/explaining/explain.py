"""The main path, by names: prompt -> generate -> attribute, for one prompt or many, by one method or several."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, overload

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.magnitude import shown
from tagxai.contract.method import Method
from tagxai.contract.request import Request
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.explaining.attributing import attribute, attribute_many
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.default_method import default_method
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.loading import check_distinct, make_methods, method_names, options_of
from tagxai.explaining.making import check_made_by
from tagxai.explaining.prompts import duration_warnings, encode, prompt_warnings
from tagxai.explaining.shared import shared_generator
from tagxai.explaining.suiting import suiting
from tagxai.explaining.together import BatchedExplanations

Source = str | Generation
"""A prompt, or a clip that was made earlier."""


@overload
def explain(
    prompt: Source,
    *,
    method: str | Method | None = ...,
    generator: str | Generator | None = ...,
    duration: float | None = ...,
    seed: int = ...,
    on_progress: OnProgress | None = ...,
    **options: Any,
) -> Attribution: ...
@overload
def explain(
    prompt: Source,
    *,
    method: Sequence[str | Method],
    generator: str | Generator | None = ...,
    duration: float | None = ...,
    seed: int = ...,
    on_progress: OnProgress | None = ...,
    **options: Any,
) -> Comparison: ...
@overload
def explain(
    prompt: Sequence[Source],
    *,
    method: str | Method | None = ...,
    generator: str | Generator | None = ...,
    duration: float | None = ...,
    seed: int = ...,
    on_progress: OnProgress | None = ...,
    **options: Any,
) -> list[Attribution]: ...
@overload
def explain(
    prompt: Sequence[Source],
    *,
    method: Sequence[str | Method],
    generator: str | Generator | None = ...,
    duration: float | None = ...,
    seed: int = ...,
    on_progress: OnProgress | None = ...,
    **options: Any,
) -> list[Comparison]: ...
def explain(
    prompt: Source | Sequence[Source],
    *,
    method: str | Method | Sequence[str | Method] | None = None,
    generator: str | Generator | None = None,
    duration: float | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Attribution | Comparison | list[Attribution] | list[Comparison]:
    """Generate `duration` seconds of audio from `prompt` and say which words made which seconds.

    A list of prompts gives a list: their clips are made together, each with the same seed. A `Generation` is explained
    as it is. Several methods, as a list or as names separated by commas, give a `Comparison` of one clip's
    explanations; type checkers know it for a list. Without `generator`, a prompt takes "tiny", and a clip the model
    that made it; without `method`, a model with attention takes "share_x_effect" (see `default_method`).

    `options` are sampling settings that the generator declares, and otherwise hyper-parameters of methods given by
    name; what both have is a sampling setting. Raises TagxaiError; warns where the model cannot read all of a prompt
    (`prompt_warnings`).
    """
    many = not isinstance(prompt, (str, Generation))
    sources = _sources(prompt)
    model = generator if isinstance(generator, Generator) else shared_generator(generator or _maker(sources))
    declared = {setting.name for setting in model.sampling_settings()}
    sampling = {name: value for name, value in options.items() if name in declared}
    others = {name: value for name, value in options.items() if name not in declared}
    if method is None:
        method, settings = default_method(model)
        others = settings | others
    chosen = _methods(method, others, model)
    compared = not isinstance(method, Method) and (not isinstance(method, str) or len(chosen) > 1)
    if not compared:
        next(iter(chosen.values())).check_supported(model)
    if not any(isinstance(source, str) for source in sources) and sources and (sampling or duration or seed):
        raise TagxaiError("a clip made earlier is explained as it is; give no duration, seed or sampling settings")
    requests = {each: Request(each, duration, seed, settings=sampling) for each in sources if isinstance(each, str)}
    for text, request in requests.items():
        conditioning = encode(model, text)
        for warning in prompt_warnings(model, text, conditioning):
            warnings.warn(warning, stacklevel=2)
        requests[text] = replace(request, conditioning=conditioning)
    for warning in duration_warnings(model, duration) if requests else ():
        warnings.warn(warning, stacklevel=2)
    for source in sources:
        if isinstance(source, Generation):
            check_made_by(model, source)
    started = perf_counter()
    made = dict(zip(requests, model.generate_many(list(requests.values()), on_progress=on_progress), strict=True))
    seconds = (perf_counter() - started) / max(1, len(made))
    for clip in made.values():
        heard = model.heard(clip)
        if heard is not None and (heard.missing or heard.extra):
            warnings.warn(f"{clip.prompt!r}: {heard}", stacklevel=2)
    clips = [made[source] if isinstance(source, str) else source for source in sources]
    if compared:
        batched = BatchedExplanations(chosen)
        batched.explain(model, list(dict.fromkeys(clips)), on_progress=on_progress)
        comparisons = [
            _compare(model, clip, batched, seconds if isinstance(source, str) else None, on_progress)
            for source, clip in zip(sources, clips, strict=True)
        ]
        return comparisons if many else comparisons[0]
    (only,) = chosen.values()
    if many:
        return attribute_many(only, model, clips, on_progress=on_progress)
    return attribute(only, model, clips[0], on_progress=on_progress)


def _sources(prompt: Any) -> list[Source]:
    if isinstance(prompt, (str, Generation)):
        return [prompt]
    sources = list(prompt) if isinstance(prompt, Sequence) else [prompt]
    for source in sources:
        if not isinstance(source, (str, Generation)):
            raise TagxaiError(
                "what is explained must be a prompt, a Generation, or a list of them, not "
                f"{type(source).__name__} {source!r:.60}"
            )
    return sources


def _maker(sources: Sequence[Source]) -> str:
    """The name of the generator that made the clips among `sources`."""
    names = list(dict.fromkeys(source.generator for source in sources if isinstance(source, Generation)))
    if len(names) > 1:
        raise TagxaiError(f"the clips are of several generators, {', '.join(names)}; explain those of each in a call")
    return names[0] if names else "tiny"


def _methods(given: Any, options: Mapping[str, Any], model: Generator) -> dict[str, Method]:
    """The methods by name, those that are given by name with `options`."""
    if isinstance(given, str):
        each = method_names(given)
    else:
        each = list(given) if isinstance(given, Iterable) and not isinstance(given, type) else [given]
    named = [method for method in each if isinstance(method, str)]
    labels = [method if isinstance(method, str) else getattr(method, "name", repr(method)) for method in each]
    if not each:
        raise TagxaiError("no method was given; give names, such as ['share_x_effect', 'shapley']")
    check_distinct(labels)
    wrong = next((method for method in each if not isinstance(method, (str, Method))), None)
    if wrong is not None:
        called = f"the class {wrong.__name__}; write {wrong.__name__}()" if isinstance(wrong, type) else shown(wrong)
        raise TagxaiError(f"a method is a name or a Method, not {called}")
    known = set[str]().union(*(options_of(name) for name in named))
    for name in options:
        if not named and not isinstance(given, str):
            raise TagxaiError(
                f"{name!r} is no sampling setting of generator {model.name!r}, and options are for a method given by "
                "name; give them to the method itself"
            )
        if name.rpartition(".")[2] not in known:
            settings = {setting.name for setting in model.sampling_settings()}
            raise UnknownNameError(
                f"option of method {' or '.join(map(repr, named))}, nor sampling setting of generator {model.name!r},",
                name,
                known | settings,
            )
    made = make_methods(named, options)
    suited, sentences = suiting(made, options, model)
    for sentence in sentences:
        warnings.warn(sentence, stacklevel=3)
    if suited:
        made = make_methods(named, {**options, **suited})
    return {label: made[label] if isinstance(one, str) else one for label, one in zip(labels, each, strict=True)}


def _compare(
    model: Generator,
    clip: Generation,
    batched: BatchedExplanations,
    seconds: float | None,
    on_progress: OnProgress | None,
) -> Comparison:
    def explain_with(name: str) -> Explanation:
        batched.methods[name].check_supported(model)
        return Explanation(batched.attribute(name, model, clip, on_progress=on_progress))

    return Comparison.of(batched.methods, explain_with, seconds)
