"""How new clips of a prompt sound to a classifier: sampled once, and remembered for every metric that judges the same.

New clips have other seeds than the original: under a mask of ones they are as far from it as two samples of one prompt
are, which is the noise floor.
"""

from __future__ import annotations

from collections import OrderedDict
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
    name = name or ("detector" if generator.name == "tiny" else "passt")
    return name, load_classifier(name)


def sampled(
    generator: Generator,
    generation: Generation,
    classifier: str | None,
    repeats: int,
    *,
    prompt: str | None = None,
    mask: Float[torch.Tensor, "positions tokens"] | None = None,
) -> Float[torch.Tensor, "repeats labels"]:
    """How `repeats` new clips sound, with the original's settings, its next seeds, and a mask or another prompt.

    A prompt of no words is the unconditional branch.
    """
    name, judge = classifier_for(generator, classifier)
    text = generation.prompt if prompt is None else prompt
    branch: Branch = generation.settings.get("branch", "guided") if text else "unconditional"
    requests = [
        Request.again(generation, prompt=text or generation.prompt, seed=seed, mask=mask, branch=branch)
        for seed in range(generation.seed + 1, generation.seed + 1 + repeats)
    ]
    gates = None if mask is None else mask.cpu().float().numpy().tobytes()
    settings = tuple(sorted(generation.settings.items()))
    key = (name, text, generation.duration, generation.seed, settings, branch, gates, repeats)
    heard = _heard.setdefault(generator, OrderedDict())
    if key not in heard:
        clips = generator.generate_many(requests)
        heard[key] = judge([clip.waveform for clip in clips], clips[0].sample_rate)
    heard.move_to_end(key)
    while len(heard) > REMEMBERED:
        heard.popitem(last=False)
    return heard[key]
