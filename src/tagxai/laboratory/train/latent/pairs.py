"""The flow's data: sentences, each scene described in several ways, and the exact latents of the scene's clip.

Scenes are those of the grammar's training split in other proportions. Counts are rare in the grammar (one event in
twenty), but a flow that seldom meets a count ignores it; so counts and rates are asked for more often here, and so are
the forms with three events. Validation and test prompts keep the grammar's own proportions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tagxai.laboratory.language.composing import compose
from tagxai.laboratory.language.streams import prompts, wording_split
from tagxai.laboratory.sounds.clips import Form, intervals
from tagxai.laboratory.sounds.scenes import Scene, scenes
from tagxai.laboratory.sounds.styles import VALUES, Style
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES
from tagxai.laboratory.sounds.waves import Rng
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.latents import LatentSpace
from tagxai.laboratory.train.loop import report
from tagxai.laboratory.train.text_labels import LENGTH
from tagxai.lazy import Float, Int

BLOCK = 2000
TELLINGS = 4
"""Sentences for each clip: they cost next to nothing, where a clip has to be rendered."""

LONG: tuple[Form, ...] = ("sequence", "layered")
LONG_SHARE = 0.15
"""Share of scenes that are drawn from the forms with three events alone."""

COUNTED, PACED = 0.5, 0.35
"""Share of events that can be counted, with time for it, that get a count; and of the others that get a rate, if they
have one."""

SKIPPED = 0.35
"""Share of shorter scenes without an event that could be counted that are left out."""


class Pairs(NamedTuple):
    """Tokenised sentences, padded with 0, and the latents of their clips, in half precision."""

    tokens: Int[Tensor, "clips tellings tokens"]
    latents: Float[Tensor, "clips frames dim"]


def countable(event: str, seconds: float) -> bool:
    """Whether an event can be asked for a number of times in a slot: counts need time (`scenes.draw_style`)."""
    return "count" in ATTRIBUTES[event] and seconds > 1.2


def restyled(scene: Scene, rng: Rng) -> Scene:
    """The scene with more counts and rates."""
    styles = []
    for event, style, (start, stop) in zip(scene.events, scene.styles, intervals(scene.form), strict=True):
        chance = rng.random()
        if countable(event, stop - start):
            style = Style(count=str(rng.choice(VALUES["count"]))) if chance < COUNTED else style
        elif "rate" in ATTRIBUTES[event] and chance < PACED:
            style = Style(rate=str(rng.choice(VALUES["rate"])))
        styles.append(style)
    return Scene(scene.form, scene.events, tuple(styles), scene.absent)


def training_scenes(seed: int) -> Iterator[Scene]:
    """Endless scenes of the training split."""
    rng, usual, long = np.random.default_rng(seed), scenes("train", [seed, 0]), scenes("train", [seed, 1], LONG)
    while True:
        scene = next(long if rng.random() < LONG_SHARE else usual)
        spans = zip(scene.events, intervals(scene.form), strict=True)
        counts = any(countable(event, stop - start) for event, (start, stop) in spans)
        if counts or scene.form in LONG or rng.random() >= SKIPPED:
            yield restyled(scene, rng)


def tellings(scene: Scene, rng: Rng, count: int = TELLINGS) -> list[str]:
    """`count` sentences of the training split about a scene, with repetitions where there are too few; or none."""
    found: list[str] = []
    for _ in range(20 * count):
        prompt = compose(scene, rng)
        if scene.form != "single" or scene.absent is not None or wording_split(prompt) == "train":
            found.append(prompt.text)
        if len(found) == count:
            break
    return (found * count)[:count]


def make(
    out: Path, tokenizer: PreTrainedTokenizerBase, space: LatentSpace, count: int, seed: int = 0, block: int = BLOCK
) -> Pairs:
    """Render or load `count` training pairs, in resumable blocks under `out/pairs/`."""
    say, blocks = report("pairs"), []
    for number in range(-(-count // block)):
        path = out / "pairs" / f"{number:03}.pt"
        if (state := load(path)) is None:
            save(state := _block(tokenizer, space, [seed, number], block)._asdict(), path)
            say("block", number)
        blocks.append(state)
    return Pairs(*(torch.cat([state[name] for state in blocks])[:count] for name in Pairs._fields))


def held_out(tokenizer: PreTrainedTokenizerBase, space: LatentSpace, count: int = 64, seed: int = 5) -> Pairs:
    """Prompts of the validation split, one telling each, in the grammar's own proportions."""
    asked, rng = prompts("validation", count, seed), np.random.default_rng(seed)
    return _pairs(tokenizer, space, [[prompt.text] for prompt in asked], [prompt.scene for prompt in asked], rng)


def _block(tokenizer: PreTrainedTokenizerBase, space: LatentSpace, seed: list[int], size: int) -> Pairs:
    source, rng = training_scenes(1000 * seed[0] + 500 + seed[1]), np.random.default_rng([2, *seed])
    sentences: list[list[str]] = []
    found: list[Scene] = []
    while len(found) < size:
        scene = next(source)
        if texts := tellings(scene, rng):
            sentences.append(texts)
            found.append(scene)
    return _pairs(tokenizer, space, sentences, found, rng)


def _pairs(
    tokenizer: PreTrainedTokenizerBase, space: LatentSpace, sentences: list[list[str]], found: list[Scene], rng: Rng
) -> Pairs:
    texts = [text for row in sentences for text in row]
    encoded = tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    clips = (torch.from_numpy(scene.render(rng).waveform)[None] for scene in found)
    latents = torch.cat([space.latents(clip).half() for clip in clips])
    return Pairs(encoded.input_ids.to(torch.int16).unflatten(0, (len(sentences), -1)), latents)
