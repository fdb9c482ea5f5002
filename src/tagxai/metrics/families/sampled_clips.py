"""How new clips of a prompt sound to a classifier: sampled once, and remembered for every metric that judges the same.

Clips of the original's next seeds are, under a mask of ones, as far from it as two samples of one prompt are, which is
the noise floor. From the original's own seed on, the first is then the original itself, and a mask changes it no more
than it must.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from tagxai.classifiers import Classifier, load_classifier
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import Branch, Generation
from tagxai.lazy import Float, torch

REMEMBERED = 256
"""Sets of clips, of each generator, whose probabilities are kept: several metrics judge the same clips."""

_heard: WeakKeyDictionary[Generator, OrderedDict[object, torch.Tensor]] = WeakKeyDictionary()


def classifier_for(generator: Generator, name: str | None = None) -> tuple[str, Classifier]:
    """The classifier of that name; by default the one that belongs to the generator, or PaSST."""
    name = name or ("detector" if generator.name in ("tiny", "latent") else "passt")
    return name, load_classifier(name)


class Variant(NamedTuple):
    """What new clips are sampled under: a mask, or another prompt; one of no words is the unconditional branch."""

    mask: Float[torch.Tensor, "positions tokens"] | None = None
    prompt: str | None = None


Seeds = Literal["original", "next"]
"""Whether the first new clip has the original's seed or the one after it; the others have the seeds that follow."""


def sampled(
    generator: Generator,
    generation: Generation,
    classifier: str | None,
    repeats: int,
    variants: Sequence[Variant],
    seeds: Seeds = "next",
    *,
    frames: bool = False,
) -> list[Float[torch.Tensor, "repeats *frames labels"]]:
    """How `repeats` new clips of each variant sound, with the original's settings; with `frames`, over time.

    Those that are not remembered are made together.
    """
    first = generation.seed + (seeds == "next")
    name, judge = classifier_for(generator, classifier)
    settings = tuple(sorted(generation.settings.items()))
    keys: list[object] = []
    missing: dict[object, list[Request]] = {}
    heard = _heard.setdefault(generator, OrderedDict())
    for mask, prompt in variants:
        text = generation.prompt if prompt is None else prompt
        branch: Branch = generation.settings.get("branch", "guided") if text else "unconditional"
        gates = None if mask is None else mask.cpu().float().numpy().tobytes()
        keys.append((name, text, generation.duration, first, settings, branch, gates, repeats, frames))
        if keys[-1] not in heard:
            missing[keys[-1]] = [
                Request.again(generation, prompt=text or generation.prompt, seed=seed, mask=mask, branch=branch)
                for seed in range(first, first + repeats)
            ]
    if missing:
        clips = iter(generator.generate_many([request for requests in missing.values() for request in requests]))
        for key, requests in missing.items():
            mine = list(islice(clips, len(requests)))
            listen = judge.over_time if frames else judge
            heard[key] = listen([clip.waveform for clip in mine], mine[0].sample_rate)
    found = [heard[key] for key in keys]
    for key in keys:
        heard.move_to_end(key)
    while len(heard) > REMEMBERED:
        heard.popitem(last=False)
    return found
