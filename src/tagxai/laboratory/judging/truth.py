"""The truth about one clip of the embedded model: what the grammar says, where the detector hears it, and only for
words whose effect an intervention on the model confirms."""

import zlib

import numpy as np

from tagxai.contract.generator import Generator
from tagxai.contract.truth import Level, TrueWord, Truth, WordKind
from tagxai.contract.values import Generation
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.interventions import removed, replaced
from tagxai.laboratory.judging.witness import AUDIBLE, Change, Cut, Witness
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.phrases import ADJECTIVES, ADVERBS
from tagxai.laboratory.language.prompt import Attribute, Mention, Prompt, Word
from tagxai.laboratory.sounds.clips import SLOTS
from tagxai.laboratory.sounds.styles import VALUES
from tagxai.lazy import torch


@torch.no_grad()
def truth(generator: Generator, generation: Generation, detector: EventDetector, level: Level = "word") -> Truth | None:
    """Which words make which frames; None for a prompt that the grammar cannot say.

    - Words of an event: the frames of its slot in which the detector hears it; confirmed when the event is gone both
      from the clip with these words replaced by another event's, and from the clip without them.
    - Words of an attribute: the same frames; confirmed when the meter finds the value, and another one in the clip
      of the opposite word. Events that share their slot with another cannot be measured.
    - Words of a negation make no frame; confirmed when the denied event is not heard, but is with "and" instead.

    At `level="attention"` all these other prompts give way to one intervention: the tokens that share a character with
    the words in question are cut from the cross-attention, after the text was encoded whole.
    """
    prompt = parse(generation.prompt)
    if prompt is None:
        return None
    witness = Witness(generator, generation, detector)
    rng = np.random.default_rng(zlib.crc32(prompt.text.encode()))
    heard = [witness.frames(prompt.text, mention) for mention in prompt.mentions]

    changes = {
        i: _changes(prompt, mention, rng, level)
        for i, mention in enumerate(prompt.mentions)
        if not mention.absent and bool(heard[i].sum() > AUDIBLE)
    }
    negations = [_negated(prompt, level)] if prompt.negations and bool(heard[-1].sum() <= AUDIBLE) else []
    attributes = [
        _changed(prompt, mention, attribute, level)
        for mention in (prompt.mentions[i] for i in changes)
        if not _shares_slot(prompt, mention)
        for attribute in mention.attributes
        if witness.value(prompt.text, mention, attribute) == attribute.value
    ]
    witness.make([*(change for both in changes.values() for change in both), *negations, *attributes])
    confirmed = [
        i in changes and all(witness.frames(change, mention).sum() <= AUDIBLE for change in changes[i])
        for i, mention in enumerate(prompt.mentions)
    ]
    words, rows = [], []
    for word in prompt.words():
        causal, frames = False, torch.zeros(generation.frames, dtype=torch.bool)
        if word.mention is not None and confirmed[word.mention]:
            mention = prompt.mentions[word.mention]
            causal = word.kind == "event" or _attribute_confirmed(prompt, mention, word, witness, level)
            frames = heard[word.mention] if causal else frames
        elif word.kind == "negation":
            causal = bool(
                heard[-1].sum() <= AUDIBLE < witness.frames(_negated(prompt, level), prompt.mentions[-1]).sum()
            )
        kind: WordKind = "count" if word.attribute == "count" else word.kind
        event = word.mention if word.kind == "event" else None
        words.append(TrueWord(word.start_char, word.end_char, kind, causal, event))
        rows.append(frames)
    return Truth(tuple(words), torch.stack(rows), generation.frame_rate)


def _changes(prompt: Prompt, mention: Mention, rng: np.random.Generator, level: Level) -> list[Change]:
    """The interventions on the words of an event."""
    if level == "attention":
        return [Cut(mention.start_char, mention.end_char)]
    return [replaced(prompt, mention, rng)[0], removed(prompt, mention)]


def _negated(prompt: Prompt, level: Level) -> Change:
    """The intervention on the words of the negation."""
    start, end = prompt.negations[0]
    return Cut(start, end) if level == "attention" else f"{prompt.text[:start]}and{prompt.text[end:]}"


def _changed(prompt: Prompt, mention: Mention, attribute: Attribute, level: Level) -> Change:
    """The intervention on the words of an attribute."""
    if level == "attention":
        return Cut(attribute.start_char, attribute.end_char)
    values = VALUES[attribute.kind]
    opposite = values[(values.index(attribute.value) + 1) % len(values)]
    other_word = (ADJECTIVES if attribute.start_char < mention.start_char else ADVERBS)[opposite][0]
    return prompt.text[: attribute.start_char] + other_word + prompt.text[attribute.end_char :]


def _attribute_confirmed(prompt: Prompt, mention: Mention, word: Word, witness: Witness, level: Level) -> bool:
    """Whether the attribute is measured as asked, and another value with its opposite's words, or with none."""
    if _shares_slot(prompt, mention):
        return False
    attribute = next(a for a in mention.attributes if a.start_char <= word.start_char < a.end_char)
    if witness.value(prompt.text, mention, attribute) != attribute.value:
        return False
    change = _changed(prompt, mention, attribute, level)
    return witness.value(change, mention, attribute) not in (attribute.value, None)  # not heard: nothing was measured


def _shares_slot(prompt: Prompt, mention: Mention) -> bool:
    """Whether another event sounds at the same time, so that attributes cannot be measured."""
    slots = SLOTS[prompt.form]
    return slots.count(slots[prompt.events.index(mention.event)]) > 1
