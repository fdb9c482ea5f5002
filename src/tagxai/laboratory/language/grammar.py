"""Prompts with their truth: which characters name which event or attribute, and when that event should sound.

A prompt is a sentence about a scene (`sounds.scenes`): one to three events in one of the `PATTERNS`, each event in
one of several phrasings and perhaps with an attribute, perhaps an event that is denied, and filler.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from tagxai.laboratory.language.phrases import (
    ADJECTIVES,
    ADVERBS,
    FUNCTION_WORDS,
    NEGATIONS,
    PATTERNS,
    PHRASES,
    PREFIXES,
    SUFFIXES,
    Filler,
    Pattern,
    Phrase,
)
from tagxai.laboratory.sounds.clips import FORMS, Form, intervals
from tagxai.laboratory.sounds.scenes import Scene, scenes
from tagxai.laboratory.sounds.splits import Split
from tagxai.laboratory.sounds.synthesis import Kind, Rng

WordKind = Literal["event", "attribute", "negation", "connective", "filler"]

_T = TypeVar("_T")

WORDINGS = 300
"""Sentences tried for a scene of one event: a few can be told in a dozen ways only, none of them of the split."""


@dataclass(frozen=True)
class Attribute:
    """Words that change how an event sounds: a kind and value of `synthesis.VALUES`, and their characters."""

    kind: Kind
    value: str
    start_char: int
    end_char: int


@dataclass(frozen=True)
class Mention:
    """One event named in a prompt: the characters of its content words and the seconds in which it should be heard.

    An `absent` event is named to be denied, and should be heard nowhere: its interval is the whole clip.
    """

    event: str
    start_char: int
    end_char: int
    start_s: float
    end_s: float
    absent: bool = False
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True)
class Word:
    """A word of a prompt by its characters: what it is for, and the index of the mention that it belongs to."""

    text: str
    start_char: int
    end_char: int
    kind: WordKind
    mention: int | None = None
    attribute: Kind | None = None


@dataclass(frozen=True)
class Prompt:
    """A prompt's text, its scene, its mentions in the order of the *text*, and the characters of its connectives and
    negations."""

    text: str
    scene: Scene
    mentions: tuple[Mention, ...]
    connectives: tuple[tuple[int, int], ...] = ()
    negations: tuple[tuple[int, int], ...] = ()

    @property
    def form(self) -> Form:
        return self.scene.form

    @property
    def events(self) -> tuple[str, ...]:
        """The events to be heard, in the order of their *sounding*."""
        return self.scene.events

    @property
    def present(self) -> tuple[Mention, ...]:
        """The mentions of events to be heard, in the order of the text."""
        return tuple(mention for mention in self.mentions if not mention.absent)

    def words(self) -> tuple[Word, ...]:
        """The words, as parted by spaces, without punctuation.

        Function words inside a content span ("of", "a") are filler: taken alone they name nothing.
        """
        return tuple(self._word(match) for match in re.finditer(r"[^\s.,]+", self.text))

    def _word(self, match: re.Match[str]) -> Word:
        text, start, end = match.group(), match.start(), match.end()
        names_nothing = text.lower() in FUNCTION_WORDS
        for index, mention in enumerate(self.mentions):
            if not names_nothing and mention.start_char <= start < mention.end_char:
                return Word(text, start, end, "event", index)
            for attribute in mention.attributes:
                if not names_nothing and attribute.start_char <= start < attribute.end_char:
                    return Word(text, start, end, "attribute", index, attribute.kind)
        spans: dict[WordKind, tuple[tuple[int, int], ...]] = {
            "negation": self.negations,
            "connective": self.connectives,
        }
        for kind, parts in spans.items():
            if any(first <= start < last for first, last in parts):
                return Word(text, start, end, kind)
        return Word(text, start, end, "filler")

    def to_dict(self) -> dict[str, Any]:
        """The truth as plain data; `docs/laboratory.md` describes the schema."""
        return {
            "text": self.text,
            "form": self.form,
            "events": list(self.events),
            "mentions": [asdict(mention) for mention in self.mentions],
            "words": [asdict(word) for word in self.words()],
        }


class _Writer:
    """A text under construction that knows where each part lies."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, words: str) -> tuple[int, int]:
        """Append words after a space (a comma without) and return their characters."""
        words = words.strip()
        if self.text and words and not words.startswith((",", ".")):
            self.text += " "
        start = len(self.text)
        self.text += words
        return start, len(self.text)


def compose(scene: Scene, rng: Rng) -> Prompt:
    """A random sentence about the scene."""

    def choose(options: Sequence[_T]) -> _T:
        return options[int(rng.integers(len(options)))]

    while True:
        pattern = choose(PATTERNS[scene.form])
        prefix = choose(PREFIXES) if rng.random() < 0.5 else PREFIXES[0]
        suffix = choose(SUFFIXES) if rng.random() < 0.4 else SUFFIXES[0]
        phrases = [choose(PHRASES[event]) for event in scene.events]
        if not _fits(pattern, prefix, suffix, phrases, scene):
            continue
        placed = [_place(phrase, scene, i, rng) for i, phrase in enumerate(phrases)]
        if None in placed:
            continue
        denied = (
            choose([p for p in PHRASES[scene.absent] if p.kind == "noun" and p.adjective]) if scene.absent else None
        )
        return _write(
            scene,
            pattern,
            prefix,
            suffix,
            phrases,
            [words or ("", "") for words in placed],
            (choose(NEGATIONS), denied) if denied else None,
            full_stop=bool(rng.random() < 0.15),
        )


def _fits(pattern: Pattern, prefix: Filler, suffix: Filler, phrases: Sequence[Phrase], scene: Scene) -> bool:
    """Whether the parts make a grammatical sentence."""
    opening = min(range(len(phrases)), key=lambda i: pattern.text.index(f"{{{i}}}"))
    inverted = not pattern.text.startswith("{")
    return (
        all(phrase.kind in kinds for phrase, kinds in zip(phrases, pattern.kinds, strict=True))
        and phrases[opening].kind in prefix.kinds
        and not (inverted and prefix.text)
        and (
            suffix.kinds != ("noun",)
            or (
                all(phrase.kind == "noun" for phrase in phrases)
                and not (prefix.closed or inverted or scene.absent or scene.form == "while")
            )
        )
        and not (prefix.text and prefix.text == suffix.text)
    )


def _place(phrase: Phrase, scene: Scene, index: int, rng: Rng) -> tuple[str, str] | None:
    """Words before and after a phrase's content for the event's style; None where the phrase has no room for them."""
    before, after = "", ""
    for value in scene.styles[index].chosen().values():
        places = [
            (words, place)
            for words, place in ((ADJECTIVES.get(value, ()), phrase.adjective), (ADVERBS[value], phrase.adverb))
            if words and place
        ]
        if not places:
            return None
        words = places[int(rng.integers(len(places)))][0]
        word = words[int(rng.integers(len(words)))]
        if words is ADVERBS[value]:
            after = word
        else:
            before = word
    return before, after


def _write(
    scene: Scene,
    pattern: Pattern,
    prefix: Filler,
    suffix: Filler,
    phrases: Sequence[Phrase],
    placed: Sequence[tuple[str, str]],
    denied: tuple[str, Phrase] | None,
    full_stop: bool,
) -> Prompt:
    writer, spans = _Writer(), intervals(scene.form)
    mentions: list[Mention] = []
    connectives: list[tuple[int, int]] = []
    negations: list[tuple[int, int]] = []
    writer.add(prefix.text)
    for part in re.split(r"(\{\d\})", pattern.text):
        if not part.startswith("{"):
            if part.strip(" ,"):
                connectives.append(writer.add(part))
            else:
                writer.add(part)
            continue
        index = int(part[1])
        phrase, (before, after) = phrases[index], placed[index]
        chosen = list(scene.styles[index].chosen().items())
        writer.add("a" if before and phrase.article == "an" else phrase.article)
        attributes = [Attribute(*chosen[0], *writer.add(before))] if before else []
        content = writer.add(phrase.content)
        if after:
            attributes.append(Attribute(*chosen[0], *writer.add(after)))
        mentions.append(Mention(scene.events[index], *content, *spans[index], attributes=tuple(attributes)))
    if denied is not None and scene.absent is not None:
        words, phrase = denied
        negations.append(writer.add(words))
        writer.add("" if words.endswith("no") else phrase.article)
        mentions.append(Mention(scene.absent, *writer.add(phrase.content), 0.0, spans[-1][1], absent=True))
    writer.add(suffix.text)
    writer.add("." if full_stop else "")
    return Prompt(writer.text, scene, tuple(mentions), tuple(connectives), tuple(negations))


def wording_split(prompt: Prompt) -> Split:
    """The split of a wording, by a stable hash: three tenths of all sentences about one event are never trained."""
    bucket = zlib.crc32(prompt.text.rstrip(".").encode()) % 10
    return "test" if bucket < 2 else "validation" if bucket == 2 else "train"


def stream(split: Split, seed: int, forms: tuple[Form, ...] = FORMS) -> Iterator[Prompt]:
    """Endless prompts of a split, in the order of `scenes`.

    Combinations of two or three events are held out as such (`splits`), also that of an event and a denied one;
    sentences about a single event are held out by their wording.
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
