"""When the model needs a word: the truth at `level="now"`, by cutting the word in one short window at a time.

An event's words are needed in a window if the event, heard there, is no longer heard when their own tokens are cut
from the cross-attention at that window's positions alone: neither the clip's past nor other words make it sound.
Usually that is its onset, and in the windows after it the model continues what it has begun.
"""

from tagxai.contract.generator import Generator
from tagxai.contract.truth import Truth
from tagxai.contract.values import Generation
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.truth import truth
from tagxai.laboratory.judging.witness import Cut, Witness
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.prompt import Mention
from tagxai.lazy import torch

WINDOW = 0.4
"""Seconds."""


@torch.no_grad()
def needed_now(generator: Generator, generation: Generation, detector: EventDetector) -> Truth | None:
    """An event's words are true in the frames in which it is heard, of the windows in which it needs them.

    Makes a clip for each window in which an event is heard. Words of events that sound whatever their own tokens are
    do not count (`level="attention"`); other words are true nowhere.
    """
    prompt, read = parse(generation.prompt), truth(generator, generation, detector, "attention")
    if prompt is None or read is None:
        return None
    witness, size = Witness(generator, generation, detector), max(1, round(WINDOW * generation.frame_rate))
    windows = [(start, min(start + size, generation.frames)) for start in range(0, generation.frames, size)]
    words = prompt.words()
    acting = {
        word.mention: prompt.mentions[word.mention]
        for word, known in zip(words, read.words, strict=True)
        if word.kind == "event" and word.mention is not None and known.causal
    }
    heard = {index: witness.frames(generation.prompt, mention) for index, mention in acting.items()}
    witness.make(
        _cut(mention, window)
        for index, mention in acting.items()
        for window in windows
        if heard[index][slice(*window)].any()
    )
    needed = {}
    for index, mention in acting.items():
        needed[index] = torch.zeros_like(heard[index])
        for window in windows:
            there = heard[index][slice(*window)]
            if there.any() and 2 * witness.frames(_cut(mention, window), mention)[slice(*window)].sum() <= there.sum():
                needed[index][slice(*window)] = there
    rows = [
        needed[word.mention] if word.kind == "event" and word.mention in needed else torch.zeros(generation.frames) > 0
        for word in words
    ]
    return Truth(read.words, torch.stack(rows), generation.frame_rate)


def _cut(mention: Mention, window: tuple[int, int]) -> Cut:
    return Cut(mention.start_char, mention.end_char, window)
