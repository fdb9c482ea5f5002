"""Clips of many requests, made together; and whether a clip that was made earlier is of a certain model."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError

AT_ONCE = 16
"""Clips that long runs ask for at a time: what an interruption may lose, and most of what a batch can save."""


def generate_each(
    generator: Generator, requests: Sequence[Request], *, on_progress: OnProgress | None = None
) -> list[Generation | TagxaiError]:
    """A clip for each request, made together; where that fails, one at a time, each with its clip or its own error."""
    try:
        return list(generator.generate_many(requests, on_progress=on_progress))
    except TagxaiError as error:
        if len(requests) == 1:
            return [error]
    return [each for request in requests for each in generate_each(generator, [request])]


def check_made_by(generator: Generator, clip: Generation, spec: str | None = None) -> None:
    """Raises TagxaiError where the generator is not the one that made the clip; `spec` is how it was named."""
    what = f"generator {spec or generator.name!r} is not the model that made this clip, {clip.generator!r}: "
    same_audio = (generator.timeline(clip.duration), generator.sample_rate) == (clip.timeline, clip.sample_rate)
    if not same_audio or conditioning_of(generator, clip).tokens[0] != clip.tokens:
        raise TagxaiError(what + "its audio or its tokens differ")
    if clip.model is not None and not (own := generator.identity()).same_model(clip.model):
        differs = "weights" if own.settings == clip.model.settings else "configuration, tokenizer or codec"
        raise TagxaiError(f"{what}its {differs} differ")
