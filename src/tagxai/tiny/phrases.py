"""The grammar's words: phrasings of every event, connectives and fillers."""

from typing import NamedTuple

_CLAUSE, _NOUN = "clause", "noun"


class Phrase(NamedTuple):
    """A phrasing; `span` holds the characters of the event's content words."""

    text: str
    kind: str
    span: tuple[int, int]


class Filler(NamedTuple):
    """Words that name no event; `kinds` of phrase it can stand beside; `closed` after it no verb may follow."""

    text: str
    kinds: tuple[str, ...]
    closed: bool = False


class Connective(NamedTuple):
    """The words between two phrases and the kinds of phrase before and after."""

    text: str
    before: tuple[str, ...]
    after: tuple[str, ...] = ()


def _phrases(clauses: str, nouns: str) -> list[Phrase]:
    """Parse `a [dog barks] | ...`: the content words stand in brackets."""
    found = []
    for kind, line in ((_CLAUSE, clauses), (_NOUN, nouns)):
        for marked in line.split("|"):
            marked = marked.strip()
            start, end = marked.index("["), marked.index("]") - 1
            found.append(Phrase(marked.replace("[", "").replace("]", ""), kind, (start, end)))
    return found


PHRASES: dict[str, list[Phrase]] = {
    "dog": _phrases(
        "a [dog barks] | the [dog is barking] | a [puppy yaps]",
        "a [dog barking] | a [barking dog] | the [barking of a dog] | [barking of a dog] | a [puppy yapping]",
    ),
    "rain": _phrases(
        "[rain falls] | [rain pours] down | the [rain is falling]",
        "[rain falling] | [falling rain] | [pouring rain] | the [patter of rain] | [rain pouring] down",
    ),
    "siren": _phrases(
        "a [siren wails] | the [siren is wailing] | a [siren howls]",
        "a [siren wailing] | a [wailing siren] | the [wail of a siren] | [wailing of a siren] | a [howling siren]",
    ),
    "bell": _phrases(
        "a [bell rings] | the [bell is ringing] | a [bell tolls]",
        "a [bell ringing] | a [ringing bell] | the [ringing of a bell] | [ringing of a bell] | a [tolling bell]",
    ),
    "clock": _phrases(
        "a [clock ticks] | the [clock is ticking] | a [watch ticks]",
        "a [clock ticking] | a [ticking clock] | the [ticking of a clock] | [ticking of a clock] | a [ticking watch]",
    ),
    "engine": _phrases(
        "an [engine runs] | the [engine is running] | a [motor hums]",
        "an [engine running] | a [running engine] | the [hum of an engine] | [humming of a motor] | a [humming motor]",
    ),
    "bird": _phrases(
        "a [bird chirps] | the [bird is singing] | a [bird sings]",
        "a [bird chirping] | a [chirping bird] | the [chirping of a bird] | [chirping of a bird] | a [singing bird]",
    ),
    "knock": _phrases(
        "someone [knocks on a door] | someone [is knocking on the door] | a [fist knocks] on wood",
        "[knocking on a door] | a [knock on the door] | someone [knocking on a door] | the [knocking of a fist]",
    ),
    "thunder": _phrases(
        "[thunder rumbles] | the [thunder is rolling] | [thunder rolls]",
        "[thunder rumbling] | [rumbling thunder] | the [rumble of thunder] | [rumbling of thunder] | [rolling thunder]",
    ),
    "alarm": _phrases(
        "an [alarm beeps] | the [alarm is beeping] | a [smoke detector beeps]",
        "an [alarm beeping] | a [beeping alarm] | the [beeping of an alarm] | [beeping of an alarm]"
        " | a [beeping smoke detector]",
    ),
}

_ANY = (_CLAUSE, _NOUN)

PREFIXES = [
    Filler("", _ANY),
    Filler("the sound of", (_NOUN,)),
    Filler("in this recording", (_CLAUSE,), closed=True),
    Filler("there is", (_NOUN,), closed=True),
    Filler("we hear", (_NOUN,), closed=True),
]

SUFFIXES = [
    Filler("", _ANY),
    Filler("can be heard", (_NOUN,)),
    Filler("in this recording", _ANY),
    Filler("in the background", _ANY),
]

CONNECTIVES: dict[str, list[Connective]] = {
    "single": [Connective("", _ANY)],
    "while": [Connective("while", _ANY, (_CLAUSE,)), Connective("as", _ANY, (_CLAUSE,))],
    "followed": [
        Connective("followed by", _ANY, (_NOUN,)),
        Connective("followed by", _ANY, (_NOUN,)),
        Connective("then", _ANY, _ANY),
        Connective("and then", _ANY, _ANY),
    ],
}
