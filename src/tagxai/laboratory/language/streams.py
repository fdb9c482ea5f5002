"""Endless prompts of each split, none of whose combinations or wordings is in another."""

import zlib
from collections.abc import Iterator

from tagxai.laboratory.language.composing import compose
from tagxai.laboratory.language.prompt import Prompt
from tagxai.laboratory.sounds.clips import FORMS, Form
from tagxai.laboratory.sounds.scenes import scenes
from tagxai.laboratory.sounds.splits import Split

WORDINGS = 300
"""Sentences tried for a scene of one event: some have only a dozen possible sentences, none of them in the split."""


def wording_split(prompt: Prompt) -> Split:
    """The split of a wording, by a stable hash: three tenths of all sentences about one event are never trained."""
    bucket = zlib.crc32(prompt.text.rstrip(".").encode()) % 10
    return "test" if bucket < 2 else "validation" if bucket == 2 else "train"


def stream(split: Split, seed: int, forms: tuple[Form, ...] = FORMS) -> Iterator[Prompt]:
    """Endless prompts of a split, in the order of `scenes`.

    Combinations of two or three events are held out whole (`splits`), and so is an event with a denied one; sentences
    about a single event are held out by their wording.
    """
    import numpy as np

    seeds = [seed, ("train", "validation", "test").index(split)]
    rng = np.random.default_rng(seeds)
    for scene in scenes(split, seeds, forms):
        for _ in range(WORDINGS):
            prompt = compose(scene, rng)
            if scene.form != "single" or scene.absent is not None or wording_split(prompt) == split:
                yield prompt
                break


def prompts(split: Split, n: int, seed: int = 0, forms: tuple[Form, ...] = FORMS) -> list[Prompt]:
    """The first `n` prompts of a split's stream."""
    source = stream(split, seed, forms)
    return [next(source) for _ in range(n)]
