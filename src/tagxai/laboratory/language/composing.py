"""Sentences about a scene: one of the patterns, a phrasing for each event, its attributes, perhaps a denial, filler."""

import re
from collections.abc import Sequence
from typing import TypeVar

from tagxai.laboratory.language.phrases import (
    ADJECTIVES,
    ADVERBS,
    NEGATIONS,
    PATTERNS,
    PHRASES,
    PREFIXES,
    SUFFIXES,
    Filler,
    Pattern,
    Phrase,
)
from tagxai.laboratory.language.prompt import Attribute, Mention, Prompt
from tagxai.laboratory.sounds.clips import intervals
from tagxai.laboratory.sounds.scenes import Scene
from tagxai.laboratory.sounds.waves import Rng

_T = TypeVar("_T")


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
    while True:
        pattern = _choose(PATTERNS[scene.form], rng)
        prefix = _choose(PREFIXES, rng) if rng.random() < 0.5 else PREFIXES[0]
        suffix = _choose(SUFFIXES, rng) if rng.random() < 0.4 else SUFFIXES[0]
        phrases = [_choose(PHRASES[event], rng) for event in scene.events]
        if not _fits(pattern, prefix, suffix, phrases, scene):
            continue
        placed = [_place(phrase, scene, i, rng) for i, phrase in enumerate(phrases)]
        if None in placed:
            continue
        nouns = [p for p in PHRASES[scene.absent] if p.kind == "noun" and p.adjective] if scene.absent else []
        denied = _choose(nouns, rng) if scene.absent else None
        return _write(
            scene,
            pattern,
            prefix,
            suffix,
            phrases,
            [words or ("", "") for words in placed],
            (_choose(NEGATIONS, rng), denied) if denied else None,
            full_stop=bool(rng.random() < 0.15),
        )


def _choose(options: Sequence[_T], rng: Rng) -> _T:
    return options[int(rng.integers(len(options)))]


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
