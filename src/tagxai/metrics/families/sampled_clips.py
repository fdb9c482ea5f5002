"""How new clips of a prompt sound to a classifier: sampled once, and remembered for every metric that judges the same.

Clips of the original's next seeds are, under a mask of ones, as far from it as two samples of one prompt are, which is
the noise floor. From the original's own seed on, the first is then the original itself, and a mask changes it no more
than it must.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from tagxai.classifiers import Classifier, load_classifier
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import Branch, Generation
from tagxai.lazy import Float, torch

REMEMBERED = 1024
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


@dataclass(frozen=True, eq=False)
class Samples:
    """`repeats` new clips of each variant of a clip, with the original's settings; heard over time with `frames`."""

    generation: Generation
    classifier: str | None
    repeats: int
    variants: Sequence[Variant]
    seeds: Seeds = "next"
    frames: bool = False

    def requests(self, judge: str) -> list[tuple[object, list[Request]]]:
        """The clips of each variant, with the key under which a classifier's answer is remembered."""
        original, found = self.generation, list[tuple[object, list[Request]]]()
        first = original.seed + (self.seeds == "next")
        settings = tuple(sorted(original.settings.items()))
        for mask, prompt in self.variants:
            text = original.prompt if prompt is None else prompt
            branch: Branch = original.settings.get("branch", "guided") if text else "unconditional"
            gates = None if mask is None else mask.cpu().float().numpy().tobytes()
            key = (judge, text, original.duration, first, settings, branch, gates, self.repeats, self.frames)
            clips = [
                Request.again(original, prompt=text or original.prompt, seed=seed, mask=mask, branch=branch)
                for seed in range(first, first + self.repeats)
            ]
            found.append((key, clips))
        return found


def sampled(generator: Generator, samples: Samples) -> list[Float[torch.Tensor, "repeats *frames labels"]]:
    """How the clips of each variant sound. Those that are not remembered are made together."""
    return sampled_together(generator, [samples])[0]


def sampled_together(
    generator: Generator, wanted: Sequence[Samples]
) -> list[list[Float[torch.Tensor, "repeats *frames labels"]]]:
    """As `sampled`, for several: all that is not remembered is made in one batch."""
    heard = _heard.setdefault(generator, OrderedDict())
    missing: dict[object, tuple[list[Request], Samples]] = {}
    keys: list[list[object]] = []
    for samples in wanted:
        name, _ = classifier_for(generator, samples.classifier)
        asked = samples.requests(name)
        keys.append([key for key, _ in asked])
        missing |= {key: (requests, samples) for key, requests in asked if key not in heard}
    if missing:
        clips = iter(generator.generate_many([request for requests, _ in missing.values() for request in requests]))
        for key, (requests, samples) in missing.items():
            mine = list(islice(clips, len(requests)))
            _, judge = classifier_for(generator, samples.classifier)
            listen = judge.over_time if samples.frames else judge
            heard[key] = listen([clip.waveform for clip in mine], mine[0].sample_rate)
    found = [[heard[key] for key in own] for own in keys]
    for key in (key for own in keys for key in own):
        heard.move_to_end(key)
    while len(heard) > REMEMBERED:
        heard.popitem(last=False)
    return found
