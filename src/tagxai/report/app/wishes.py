"""What a visitor asks for, read from the JSON that a browser sent: bounded, and with no path in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.explaining.gains import LARGEST
from tagxai.report.app import bounds
from tagxai.report.app.models import Model
from tagxai.report.app.takes import Take


@dataclass(frozen=True)
class NewClip:
    """A clip to make and explain; the same seed under the `contrast` prompt beside it, where one is given."""

    model: Model
    prompt: str
    method: str
    seconds: float
    seed: int
    contrast: str = ""


@dataclass(frozen=True)
class Gains:
    """An explained clip to make again, with a factor for each of its words."""

    model: Model
    take: Take
    gains: tuple[float, ...]


Wish = NewClip | Gains


def read_new_clip(content: Mapping[str, Any], models: Sequence[Model]) -> NewClip:
    """Raises TagxaiError."""
    model = _chosen("generator", content, {model.label: model for model in models})
    method = _chosen("method", content, {name: name for name in model.methods})
    seconds = _number("seconds", content, 0, model.longest)
    if seconds < 1 / model.generator.frame_rate:
        raise TagxaiError(f"a clip by {model.label!r} has at least {1 / model.generator.frame_rate:g} s")
    seed = _number("seed", content, 0, 2**32 - 1)
    if seed != int(seed):
        raise TagxaiError(f"the seed must be a whole number, not {seed:g}")
    prompt = _prompt("prompt", content)
    contrast = _prompt("contrast", content) if str(content.get("contrast", "")).strip() else ""
    if contrast == prompt:
        raise TagxaiError("the contrast prompt is the prompt itself; change some words of it")
    return NewClip(model, prompt, method, seconds, int(seed), contrast)


def read_gains(content: Mapping[str, Any], take: Take) -> Gains:
    """Raises TagxaiError."""
    if "attention" not in take.model.generator.offers:
        raise TagxaiError(f"words of {take.model.label!r} cannot be turned up or down: it offers no attention")
    given, words = content.get("gains"), take.words
    if not isinstance(given, list) or len(given) != len(words):
        raise TagxaiError(f"gains are a list with a number for each of the {len(words)} words of the prompt")
    gains = tuple(
        _number(f"gain of {word.text!r}", {"": gain}, 0, LARGEST, "") for word, gain in zip(words, given, strict=True)
    )
    return Gains(take.model, take, gains)


def _chosen(what: str, content: Mapping[str, Any], choices: Mapping[str, Any]) -> Any:
    name = content.get(what)
    if not isinstance(name, str) or name not in choices:
        raise UnknownNameError(what, str(name)[:60], choices)
    return choices[name]


def _number(what: str, content: Mapping[str, Any], low: float, high: float, key: str | None = None) -> float:
    value = content.get(what if key is None else key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TagxaiError(f"the {what} must be a number from {low:g} to {high:g}, not {value!r:.60}")
    if not low <= value <= high:
        raise TagxaiError(f"the {what} must be from {low:g} to {high:g}, not {value:g}")
    return float(value)


def _prompt(what: str, content: Mapping[str, Any]) -> str:
    text = content.get(what)
    if not isinstance(text, str) or not text.strip():
        raise TagxaiError(f"the {what} is empty; give some words, such as 'a dog barks while rain falls'")
    if len(text) > bounds.PROMPT:
        raise TagxaiError(f"the {what} has {len(text)} characters; at most {bounds.PROMPT} are read")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TagxaiError(f"the {what} is not valid text") from None
    return text.strip()
