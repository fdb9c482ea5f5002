"""Single words of a mention: which of them the event needs, and which could go.

"Dog barks" names the dog twice. The truth of a mention says that both words make the sound; here each is removed alone,
and kept alone, from the prompt before it is encoded. A word is

- *necessary* if the event is not heard without it;
- *sufficient* if the event is heard with it alone, of the words of its mention;
- *redundant* if it is sufficient and not necessary: leaving it out changes nothing, and yet it could do the work.
"""

from typing import NamedTuple

from tagxai.contract.generator import Generator
from tagxai.contract.truth import Truth
from tagxai.contract.values import Generation
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.witness import AUDIBLE, Witness
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.prompt import Word
from tagxai.lazy import torch
from tagxai.scoring import without
from tagxai.text.words import Unit


class SingleWord(NamedTuple):
    """A word of an event that is named by several: its number among the prompt's words, and what removing it shows."""

    word: int
    mention: int
    sufficient: bool
    needed: bool

    @property
    def role(self) -> str:
        """`necessary`, `redundant` or `idle` (neither needed nor sufficient)."""
        return "necessary" if self.needed else "redundant" if self.sufficient else "idle"


@torch.no_grad()
def single_words(
    generator: Generator, generation: Generation, detector: EventDetector, known: Truth
) -> list[SingleWord]:
    """Every word of the mentions of two or more words that the truth `known` confirms; at most two clips a word."""
    prompt = parse(generation.prompt)
    if prompt is None:
        return []
    words, witness = prompt.words(), Witness(generator, generation, detector)
    mentions: dict[int, list[int]] = {}
    for index, (word, true) in enumerate(zip(words, known.words, strict=True)):
        if word.kind == "event" and word.mention is not None and true.causal:
            mentions.setdefault(word.mention, []).append(index)
    several = {mention: mine for mention, mine in mentions.items() if len(mine) > 1}

    def less(gone: list[int]) -> str:
        return without(prompt.text, [_unit(words[i]) for i in gone], [False] * len(gone))

    asked = {
        (mention, index): (less([index]), less([other for other in mine if other != index]))
        for mention, mine in several.items()
        for index in mine
    }
    witness.make(text for pair in asked.values() for text in pair)
    found = []
    for (mention, index), texts in asked.items():
        beside, alone = (bool(witness.frames(text, prompt.mentions[mention]).sum() > AUDIBLE) for text in texts)
        found.append(SingleWord(index, mention, sufficient=alone, needed=not beside))
    return found


def _unit(word: Word) -> Unit:
    return Unit(word.text, word.start_char, word.end_char, ())
