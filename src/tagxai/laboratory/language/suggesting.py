"""What to write instead of a prompt that the embedded model does not understand: the grammar's own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.phrases import (
    ADJECTIVES,
    ADVERBS,
    NEGATIONS,
    PATTERNS,
    PHRASES,
    PREFIXES,
    SUFFIXES,
)
from tagxai.laboratory.language.plain import PLAIN

_NUMBERS = {"1 time": "once", "one time": "once", "2 times": "twice", "two times": "twice", "3 times": "three times"}
_OTHER_WORDS = {
    "hound": "dog",
    "storm": "thunder",
    "sea": "waves",
    "ocean": "waves",
    "surf": "waves",
    "church": "bell",
    "doorbell": "bell",
    "buzzer": "alarm",
    "mosquito": "buzz",
    "insect": "buzz",
    "car": "engine",
    "truck": "engine",
    "ambulance": "siren",
    "police": "siren",
    "people": "footsteps",
    "step": "footsteps",
    "cell": "phone",
    "mobile": "phone",
}
"""Words of no phrasing, by the event that people mean by them; the rest is read from the phrasings."""
_THEN = re.compile(r"\b(then|followed|before|later|finally)\b|[,;]")
_AFTER = re.compile(r"\bafter\b")
_DENIED = re.compile(r"\b(no|not|without|never|n't)\b")


def suggest(text: str) -> str | None:
    """A sentence of the grammar about the events that a text names; None where it names none.

    >>> suggest("dogs bark")
    'a dog barks'
    >>> suggest("birds sing, then waves roll")
    'a bird chirps then waves crash'
    >>> suggest("no dog barks")
    'rain falls without a dog barking'
    >>> suggest("a cow moos") is None
    True
    """
    low = " ".join(text.lower().replace("&", " and ").split()).rstrip(" .!")
    for number, word in _NUMBERS.items():
        low = re.sub(rf"\b{number}\b", word, low)
    if parse(low) is not None:
        return low
    found = _events(low)
    present = [(event, place) for event, place in found if not _DENIED.search(_gap(low, found, place))]
    denied = [event for event, place in found if (event, place) not in present]
    if not found:
        return None
    events = [event for event, _ in present][:3] or ["thunder" if denied == ["rain"] else "rain"]
    if len(events) == 2 and _AFTER.search(low[present[0][1] : present[1][1]]):
        sentence = f"{_clause(events[0])} after {_clause(events[1])}"
    elif len(events) == 2:
        linked = "then" if _THEN.search(low[present[0][1] : present[1][1]]) else "while"
        sentence = f" {linked} ".join(map(_clause, events))
    else:
        sentence = ", then ".join(map(_clause, events))
        sentence = next((text for form in _adverbs(low) if parse(text := f"{sentence} {form}") is not None), sentence)
    if denied and denied[0] not in events:
        sentence += f" without {_noun(denied[0])}"
    return sentence if parse(sentence) is not None else None


def unknown_words(text: str) -> list[str]:
    """The words that neither the grammar nor its plain phrasings have, each once.

    >>> unknown_words("a cat meows while rain falls")
    ['cat', 'meows']
    """
    words = dict.fromkeys(re.findall(r"[^\W\d_]+", text.lower()))
    return [word for word in words if not {word, *_forms(word)} & _vocabulary()]


@cache
def _vocabulary() -> frozenset[str]:
    """All words that mean something here, with their endings and without."""
    phrases = [phrase for table in (PHRASES, PLAIN) for each in table.values() for phrase in each]
    texts = [text for phrase in phrases for text in (phrase.article, phrase.content)]
    texts += [word for table in (ADJECTIVES, ADVERBS) for forms in table.values() for word in forms]
    texts += [re.sub(r"\{\d\}", "", pattern.text) for each in PATTERNS.values() for pattern in each]
    texts += [*NEGATIONS, *(filler.text for filler in (*PREFIXES, *SUFFIXES)), *_NUMBERS, *_OTHER_WORDS]
    words = re.findall(r"[a-z]+", " ".join([*texts, "not during later with some several many sound sounds are"]))
    return frozenset(form for word in words for form in _forms(word))


def _adverbs(text: str) -> list[str]:
    """The adverbs of the grammar in a text: "three times", "loudly"."""
    return [word for forms in ADVERBS.values() for word in forms if re.search(rf"\b{word}\b", text)]


def _events(text: str) -> list[tuple[str, int]]:
    """The events that words of a text name, each once, with the place of the first of its words."""
    found: dict[str, int] = {}
    for word in re.finditer(r"[a-z]+", text):
        event = next((_event_of()[form] for form in _forms(word[0]) if form in _event_of()), None)
        if event is not None:
            found.setdefault(event, word.start())
    return list(found.items())


def _gap(text: str, found: Sequence[tuple[str, int]], place: int) -> str:
    """The words between the event named before and the one at a place."""
    before = max((other for _, other in found if other < place), default=0)
    return text[before:place]


def _clause(event: str) -> str:
    return _written(PHRASES[event][0].article, PHRASES[event][0].content)


def _noun(event: str) -> str:
    phrase = next(phrase for phrase in PHRASES[event] if phrase.kind == "noun" and phrase.adjective)
    return _written(phrase.article, phrase.content)


def _written(article: str, content: str) -> str:
    return f"{article} {content}".strip()


@cache
def _event_of() -> dict[str, str]:
    """The words, without their endings, that name one event and no other."""
    owners: dict[str, set[str]] = {}
    for table in (PHRASES, PLAIN):
        for event, phrases in table.items():
            for phrase in phrases:
                for word in phrase.content.split():
                    owners.setdefault(_forms(word)[-1], set()).add(event)
    named = {word: min(events) for word, events in owners.items() if len(events) == 1 and len(word) > 2}
    return named | {_forms(word)[-1]: event for word, event in _OTHER_WORDS.items()}


def _forms(word: str) -> tuple[str, str]:
    """A word as it is, and without the endings of plurals and verbs: "dogs" is "dog", "chirping" is "chirp"."""
    bare = re.sub(r"(ing|es|ed|s|e)$", "", word)
    return word, bare if len(bare) > 2 else word
