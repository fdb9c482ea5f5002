"""How new clips of a prompt sound to a classifier: sampled once, and remembered for every metric that judges the same.

New clips have other seeds than the original: under a mask of ones they are as far from it as two samples of one prompt
are, which is the noise floor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple
from weakref import WeakKeyDictionary

from jaxtyping import Float

from tagxai.classifiers import Classifier, load_classifier
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import Branch, Generation
from tagxai.lazy import torch

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


def sampled(
    generator: Generator, generation: Generation, classifier: str | None, repeats: int, variants: Sequence[Variant]
) -> list[Float[torch.Tensor, "repeats labels"]]:
    """How `repeats` new clips of each variant sound, with the original's settings and its next seeds.

    Those that are not remembered are made together.
    """
    name, judge = classifier_for(generator, classifier)
    settings = tuple(sorted(generation.settings.items()))
    keys: list[object] = []
    missing: dict[object, list[Request]] = {}
    heard = _heard.setdefault(generator, OrderedDict())
    for mask, prompt in variants:
        text = generation.prompt if prompt is None else prompt
        branch: Branch = generation.settings.get("branch", "guided") if text else "unconditional"
        gates = None if mask is None else mask.cpu().float().numpy().tobytes()
        keys.append((name, text, generation.duration, generation.seed, settings, branch, gates, repeats))
        if keys[-1] not in heard:
            missing[keys[-1]] = [
                Request.again(generation, prompt=text or generation.prompt, seed=seed, mask=mask, branch=branch)
                for seed in range(generation.seed + 1, generation.seed + 1 + repeats)
            ]
    if missing:
        clips = iter(generator.generate_many([request for requests in missing.values() for request in requests]))
        for key, requests in missing.items():
            mine = list(islice(clips, len(requests)))
            heard[key] = judge([clip.waveform for clip in mine], mine[0].sample_rate)
    found = [heard[key] for key in keys]
    for key in keys:
        heard.move_to_end(key)
    while len(heard) > REMEMBERED:
        heard.popitem(last=False)
    return found
