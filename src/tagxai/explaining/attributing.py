"""One call for every method: tagxai's own run as they are, others with what they are given lent, and verified after."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import Cost
from tagxai.contract.foreign import ask_foreign, is_built_in
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.model_state import check_unspoilt, model_kept
from tagxai.contract.scores import check_numbers
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError


def attribute(
    method: Method,
    generator: Generator,
    clip: Generation,
    *,
    on_progress: OnProgress | None = None,
    label: str | None = None,
) -> Attribution:
    """The method's explanation of a clip that the generator made; errors call it `label`, by default its name.

    A method from outside gets a copy of the clip; the model and the state of the process are put back after it.
    Raises TagxaiError that names the method for anything that goes wrong in it, also if it would end the program.
    """
    if is_built_in(type(method)):
        check_unspoilt(generator)
        return method.attribute(generator, clip, on_progress=on_progress)
    what = f"method {(label or _name(method))!r}"
    lent = lend(clip)
    with model_kept(generator, what):
        found = ask_foreign(what, method.attribute, generator, lent, on_progress=on_progress)
    return _verified(found, clip, what)


def attribute_many(
    method: Method, generator: Generator, clips: Sequence[Generation], *, on_progress: OnProgress | None = None
) -> list[Attribution]:
    """The explanations of several clips, which a method of tagxai's own may learn from in one batch."""
    if is_built_in(type(method)):
        check_unspoilt(generator)
        return method.attribute_many(generator, clips, on_progress=on_progress)
    return [attribute(method, generator, clip, on_progress=on_progress) for clip in clips]


def lend(clip: Generation) -> Generation:
    """A copy that shares nothing with the clip, so that whatever is done to it concerns nobody else."""
    record = {name: tensor.detach().clone() for name, tensor in clip.record.items()}
    settings = deepcopy(dict(clip.settings))
    return replace(clip, record=record, waveform=clip.waveform.detach().clone(), settings=settings)


def _name(method: Method) -> str:
    try:
        return str(method.name)
    except Exception:
        return type(method).__name__


def _verified(found: Any, clip: Generation, what: str) -> Attribution:
    """The explanation, of the clip itself. Raises TagxaiError for anything but a whole one."""
    if not isinstance(found, Attribution):
        raise TagxaiError(f"{what} failed: it gave {type(found).__name__}, not an Attribution")
    if not isinstance(found.generation, Generation) or not found.generation.sounds_as(clip):
        raise TagxaiError(f"{what} failed: it changed, or explains another clip than, the one it was given")
    if not isinstance(found.cost, Cost) or found.merge not in ("sum", "mean") or not isinstance(found.method, str):
        raise TagxaiError(f"{what} failed: its Attribution has a cost, a merge or a method of the wrong type")
    for name in ("scores", "deviation"):
        if name == "scores" or found.deviation is not None:
            check_numbers(f"{what} failed: its {name}", getattr(found, name), clip)
    deviation = None if found.deviation is None else found.deviation.detach().float().cpu().clone()
    return replace(found, generation=clip, scores=found.scores.detach().float().cpu().clone(), deviation=deviation)
