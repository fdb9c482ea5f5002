"""Prompts with their truth: which characters name which event, and when that event should sound.

A prompt is `[prefix] X [suffix]`, `[prefix] X while Y [suffix]` or `[prefix] X followed by Y [suffix]` (also `as`,
`then`, `and then`), where X and Y name one event each in one of several phrasings.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tagxai.tiny.clips import FORMS, intervals
from tagxai.tiny.phrases import CONNECTIVES, PHRASES, PREFIXES, SUFFIXES, Phrase
from tagxai.tiny.splits import Split, combinations


@dataclass(frozen=True)
class Mention:
    """One event named in a prompt: the characters of its content words and the seconds in which it should be heard."""

    event: str
    start_char: int
    end_char: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Prompt:
    """A prompt's text, its form (`single`, `while`, `followed`) and its mentions in the order of the text."""

    text: str
    form: str
    mentions: tuple[Mention, ...]

    @property
    def events(self) -> tuple[str, ...]:
        return tuple(mention.event for mention in self.mentions)


def compose(form: str, events: tuple[str, ...], rng: np.random.Generator) -> Prompt:
    """A random sentence of the form about the events."""

    def choose(options):
        return options[rng.integers(len(options))]

    prefix = choose([p for p in PREFIXES if p.text == "" or rng.random() < 0.6])
    suffix = choose([s for s in SUFFIXES if s.text == "" or rng.random() < 0.5])
    if (suffix.text and suffix.text == prefix.text) or (
        suffix.kinds == ("noun",) and (form == "while" or prefix.closed)
    ):
        suffix = SUFFIXES[0]
    connective = choose(CONNECTIVES[form])
    kinds = set(prefix.kinds) & set(connective.before)
    if suffix.kinds == ("noun",):  # "... can be heard" needs a subject
        kinds &= {"noun"}
        connective = choose([c for c in CONNECTIVES[form] if "noun" in c.before and "noun" in (c.after or c.before)])
    first = choose([p for p in PHRASES[events[0]] if p.kind in kinds & set(connective.before)])
    phrases: list[Phrase] = [first]
    if form != "single":
        after = {"noun"} if suffix.kinds == ("noun",) else set(connective.after)
        phrases.append(choose([p for p in PHRASES[events[1]] if p.kind in after]))
    return _assemble(
        form, events, prefix.text, phrases, connective.text, suffix.text, full_stop=bool(rng.random() < 0.15)
    )


def _assemble(form, events, prefix, phrases, connective, suffix, full_stop) -> Prompt:
    text = f"{prefix} " if prefix else ""
    mentions: list[Mention] = []
    for event, phrase, (start_s, end_s) in zip(events, phrases, intervals(form), strict=True):
        if mentions:
            text += f" {connective} "
        start, end = phrase.span
        mentions.append(Mention(event, len(text) + start, len(text) + end, start_s, end_s))
        text += phrase.text
    text += (f" {suffix}" if suffix else "") + ("." if full_stop else "")
    return Prompt(text, form, tuple(mentions))


def wording_split(prompt: Prompt) -> Split:
    """The split of a wording, by a stable hash: three tenths of all sentences about one event are never trained."""
    bucket = zlib.crc32(prompt.text.rstrip(".").encode()) % 10
    return "test" if bucket < 2 else "validation" if bucket == 2 else "train"


def stream(split: Split, seed: int, forms: tuple[str, ...] = FORMS) -> Iterator[Prompt]:
    """Endless prompts of a split: forms by turns, and each form's event combinations by turns in shuffled order.

    Combinations of two events are held out as such (`splits`); sentences about a single event are held out by their
    wording.
    """
    rng = np.random.default_rng([seed, ("train", "validation", "test").index(split)])
    decks: dict[str, list[tuple[str, ...]]] = {form: [] for form in forms}
    while True:
        for form in forms:
            if not decks[form]:
                choices = combinations(form, split)
                decks[form] = [choices[i] for i in rng.permutation(len(choices))]
            events = decks[form].pop()
            prompt = compose(form, events, rng)
            while form == "single" and wording_split(prompt) != split:
                prompt = compose(form, events, rng)
            yield prompt


def prompts(split: Split, n: int, seed: int = 0, forms: tuple[str, ...] = FORMS) -> list[Prompt]:
    """The first `n` prompts of a split's stream."""
    source = stream(split, seed, forms)
    return [next(source) for _ in range(n)]
