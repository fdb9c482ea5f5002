"""Takes from wishes: the work of a batch on one model, in as few passes as the model can."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.request import Request
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError, error_sentence
from tagxai.explaining.attributing import attribute_many
from tagxai.explaining.editing import Edit, gated, take_of
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.hearing import heard_sentence
from tagxai.explaining.kept_answers import Answer
from tagxai.explaining.listening import listen_many
from tagxai.explaining.loading import make_method
from tagxai.explaining.making import generate_each
from tagxai.explaining.prompts import prompt_warnings
from tagxai.report.app.jobs import Cancelled
from tagxai.report.app.models import Model
from tagxai.report.app.takes import Contrast, Take
from tagxai.report.app.wishes import Gains, NewClip, Wish
from tagxai.scoring import prompt_contrast
from tagxai.text.printable import printable

T = TypeVar("T")
K = TypeVar("K")

OnTake = Callable[[int, Take | str], None]
"""Called with the number of a wish and its take, or the sentence why there is none; quick ones first."""
Stage = Callable[[str], OnProgress]


def make_takes(model: Model, wishes: Sequence[Wish], stage: Stage, on_take: OnTake) -> None:
    """Clips of all wishes are generated together; edits are ready then, explanations and audio to compare follow."""
    requests = {(i, what): each for i, wish in enumerate(wishes) for what, each in _requests(wish).items()}
    made = generate_each(model.generator, list(requests.values()), on_progress=stage("generating"))
    clips: dict[tuple[int, str], Generation] = {}
    failed: dict[int, TagxaiError] = {}
    for (i, what), found in zip(requests, made, strict=True):
        if isinstance(found, TagxaiError):
            failed[i] = found
        else:
            clips[i, what] = found
    new: dict[int, NewClip] = {}
    for i, wish in enumerate(wishes):
        if i in failed:
            on_take(i, error_sentence(failed[i]))
        elif isinstance(wish, Gains):
            on_take(i, _edited(wish, clips[i, "edited"]))
        else:
            new[i] = wish
    _explain(model, new, clips, stage, on_take)


def _requests(wish: Wish) -> Mapping[str, Request]:
    if isinstance(wish, Gains):
        clip, generator = wish.take.clip, wish.model.generator
        return {
            "edited": gated(
                Request.again(clip, conditioning=conditioning_of(generator, clip)), generator, _factors(wish)
            )
        }
    own = Request(wish.prompt, wish.seconds, wish.seed)
    return {"clip": own, **({"contrast": replace(own, prompt=wish.contrast)} if wish.contrast else {})}


def _factors(wish: Gains) -> tuple[float, ...]:
    """A factor for each token."""
    of = {token: gain for word, gain in zip(wish.take.words, wish.gains, strict=True) for token in word.tokens}
    return tuple(of[i] for i in range(len(of)))


def _edited(wish: Gains, clip: Generation) -> Take:
    origin = wish.take
    edit = Edit(_named(wish), _factors(wish), (take_of(wish.model.generator, origin.clip, clip),))
    return Take(_id(), wish.model, origin.explanation, None, edit, origin.origin or origin.id)


def _named(wish: Gains) -> dict[str, float]:
    """The words that were turned up or down, in stretches of one gain."""
    found: dict[str, float] = {}
    prompt, start = wish.take.clip.prompt, None
    words = [(word, gain) for word, gain in zip(wish.take.words, wish.gains, strict=True) if not word.special]
    for i, (word, gain) in enumerate(words):
        start = word.start if start is None else start
        if i + 1 == len(words) or words[i + 1][1] != gain:
            if gain != 1:
                text = prompt[start : word.end]
                found[text if text not in found else f"{text} ({i + 1})"] = gain
            start = None
    return found


def _explain(
    model: Model,
    wishes: Mapping[int, NewClip],
    clips: Mapping[tuple[int, str], Generation],
    stage: Stage,
    on_take: OnTake,
) -> None:
    found: dict[int, Attribution] = {}
    for name in dict.fromkeys(wish.method for wish in wishes.values()):
        method = make_method(name, model.settings(name))
        mine = {i: clips[i, "clip"] for i, wish in wishes.items() if wish.method == name}
        progress = stage(f"explaining with {name}")
        found |= _each(mine, partial(attribute_many, method, model.generator, on_progress=progress), on_take)
    listening = stage("generating audio to compare")
    tracks = _each(found, partial(listen_many, model.generator, on_progress=listening), on_take)
    for i in tracks:
        clip, contrast = clips[i, "clip"], clips.get((i, "contrast"))
        explanation = Explanation(found[i], (), tracks[i], heard_sentence(model.generator, clip))
        asked = None if contrast is None else Contrast(contrast, _answer(model, clip, contrast.prompt))
        warned = prompt_warnings(model.generator, clip.prompt)
        on_take(i, Take(_id(), model, explanation, asked, warnings=tuple(warned)))


def _each(given: Mapping[int, K], work: Callable[[Sequence[K]], Sequence[T]], on_take: OnTake) -> dict[int, T]:
    """`work` on all together; where that fails, one by one, so that a wish fails for reasons of its own alone."""
    try:
        return dict(zip(given, work(list(given.values())), strict=True)) if given else {}
    except Cancelled:
        raise
    except Exception as error:  # a method may be anyone's plugin
        if len(given) == 1:
            on_take(next(iter(given)), error_sentence(error))
            return {}
    return {i: each for one in given for i, each in _each({one: given[one]}, work, on_take).items()}


def _answer(model: Model, clip: Generation, other: str) -> Answer:
    """How much better the clip's own prompt foretells it than the contrast, slice by slice."""
    difference = prompt_contrast(model.generator, clip, other).difference.mean(0)
    size = -(-clip.frames // SLICES)
    spans = [range(clip.frames)[i : i + size] for i in range(0, clip.frames, size)]
    rows = [
        [
            f"{span.start / clip.frame_rate:.3g}-{span.stop / clip.frame_rate:.3g} s",
            f"{difference[span.start : span.stop].mean():.3f}",
        ]
        for span in spans
    ]
    unit = model.generator.unit
    return Answer(
        f"Why this prompt, and not “{printable(other)}”?",
        f"log-probability of the clip, minus that under the contrast prompt; {unit}. Above 0: the prompt fits better.",
        ["time", "difference"],
        [*rows, ["all", f"{difference.mean():.3f}"]],
    )


SLICES = 10
"""Rows of the answer."""


def _id() -> str:
    return secrets.token_urlsafe(12)
