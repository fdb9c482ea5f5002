"""From words back to their meaning: the truth of any sentence of the grammar."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from tagxai.laboratory.language.phrases import (
    ADJECTIVES,
    ADVERBS,
    NEGATIONS,
    PATTERNS,
    PHRASES,
    PREFIXES,
    SUFFIXES,
    Filler,
)
from tagxai.laboratory.language.plain import PLAIN, PLAIN_PATTERNS
from tagxai.laboratory.language.prompt import Attribute, Mention, Prompt
from tagxai.laboratory.sounds.clips import Form, intervals
from tagxai.laboratory.sounds.scenes import Scene
from tagxai.laboratory.sounds.styles import VALUES, AttributeKind, Style
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES

_EVENT_OF = {phrase.content: event for event, phrases in PHRASES.items() for phrase in phrases}
_PLAIN_EVENT_OF = {phrase.content: event for event, phrases in PLAIN.items() for phrase in phrases}
_PLAIN_ARTICLES = {
    content: {phrase.article for phrases in PLAIN.values() for phrase in phrases if phrase.content == content}
    for content in _PLAIN_EVENT_OF
}
_VALUE_OF = {word: value for words in (ADJECTIVES, ADVERBS) for value, forms in words.items() for word in forms}
_KIND_OF: dict[str, AttributeKind] = {value: kind for kind, values in VALUES.items() for value in values}


def _either(options: set[str]) -> str:
    """A pattern for any of the options, the longest first."""
    return "|".join(re.escape(option) for option in sorted(options, key=lambda option: (-len(option), option)))


def _mention(contents: set[str]) -> re.Pattern[str]:
    return re.compile(
        r"\b(?:(?P<article>an?|the|someone|people|it) )?"
        rf"(?:(?P<before>{_either({word for words in ADJECTIVES.values() for word in words})}) )?"
        rf"(?<!there )(?P<content>{_either(contents)})"  # "there is whistling of a man" is not "is whistling"
        rf"(?: (?P<after>{_either({word for words in ADVERBS.values() for word in words})}))?\b"
    )


_MENTION, _PLAIN_MENTION = _mention(set(_EVENT_OF)), _mention({*_EVENT_OF, *_PLAIN_EVENT_OF})


@cache
def _skeletons(plain: bool) -> dict[str, tuple[Form, tuple[int, ...]]]:
    """Every pattern with `{}` for its events: its form, and the events' order of sounding in the order of the text."""
    return {
        re.sub(r"\d", "", pattern.text): (form, tuple(int(number) for number in re.findall(r"\d", pattern.text)))
        for table in (PATTERNS, PLAIN_PATTERNS if plain else {})
        for form, patterns in table.items()
        for pattern in patterns
    }


def parse(text: str) -> Prompt | None:
    """The text as a prompt with its truth; None if it is no sentence of the grammar, with plain phrasings or without.

    >>> [mention.event for mention in parse("a dog barks while rain falls").mentions]
    ['dog', 'rain']
    >>> parse("a cow moos") is None
    True
    """
    if len(text) != len(text.lower()):
        return None
    return _parse(text, plain=False) or _parse(text, plain=True)


def _parse(text: str, plain: bool) -> Prompt | None:
    found = list((_PLAIN_MENTION if plain else _MENTION).finditer(text.lower()))
    if not found or not all(_is_phrase(match) for match in found):
        return None
    gaps = [*(text.lower()[a.end() : b.start()] for a, b in pairwise(found))]
    opening, closing = text.lower()[: found[0].start()], text.lower()[found[-1].end() :].rstrip(" .")
    denied = len(found) > 1 and gaps[-1].strip() in NEGATIONS
    frame = "{}".join(["", *gaps[: len(gaps) - denied], ""])
    pattern = _skeletons(plain).get(_unfilled(opening, PREFIXES) + frame + _unfilled(closing, SUFFIXES))
    if pattern is None:
        return None
    form, order = pattern
    spans, mentions = intervals(form), []
    for place, match in enumerate(found):
        absent = denied and place == len(found) - 1
        start_s, end_s = (0.0, spans[-1][1]) if absent else spans[order[place]]
        attributes = tuple(
            Attribute(_KIND_OF[value], value, *match.span(part))
            for part in ("before", "after")
            if match[part] and (value := _VALUE_OF[match[part]])
        )
        event = _event(match["content"])
        kinds = [attribute.kind for attribute in attributes]
        if len(set(kinds)) < len(kinds) or not set(kinds) <= set(ATTRIBUTES[event]):
            return None
        mentions.append(Mention(event, *match.span("content"), start_s, end_s, absent, attributes))
    present = mentions[: len(order)]
    sounding = [present[order.index(index)] for index in range(len(order))]
    scene = Scene(
        form,
        tuple(mention.event for mention in sounding),
        tuple(Style(**{a.kind: a.value for a in mention.attributes}) for mention in sounding),
        mentions[-1].event if denied else None,
    )
    if len({mention.event for mention in mentions}) < len(mentions):
        return None
    words = _words_between(text, found, len(order))
    return Prompt(text, scene, tuple(mentions), *words)


def _event(content: str) -> str:
    return _EVENT_OF.get(content) or _PLAIN_EVENT_OF[content]


def _is_phrase(match: re.Match[str]) -> bool:
    """Whether a plain content stands behind an article that it was heard with, or behind an adjective."""
    content = match["content"]
    return content in _EVENT_OF or bool(match["before"]) or (match["article"] or "") in _PLAIN_ARTICLES[content]


def _unfilled(words: str, fillers: Sequence[Filler]) -> str:
    """The opening or closing words, or nothing if they are only a filler; commas and spaces aside."""
    bare = words.strip(" ,")
    return "" if bare in {filler.text for filler in fillers} else words


def _words_between(text: str, found: list[re.Match[str]], present: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The characters of connectives (also before the first event: "after X, Y") and of a negation."""
    connectives: list[tuple[int, int]] = []
    negations: list[tuple[int, int]] = []
    gaps = [(0, found[0].start()), *((a.end(), b.start()) for a, b in pairwise(found))]
    fillers = {filler.text for filler in PREFIXES}
    for place, (start, end) in enumerate(gaps):
        words = text[start:end]
        bare = words.strip(" ,")
        if bare and not (place == 0 and bare.lower() in fillers):
            first = start + words.index(bare)
            (negations if place == present else connectives).append((first, first + len(bare)))
    return tuple(connectives), tuple(negations)
