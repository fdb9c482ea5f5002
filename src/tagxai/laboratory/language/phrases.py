"""The grammar's words: phrasings of every event, words for attributes, sentence patterns, negations and fillers."""

from typing import Literal, NamedTuple

from tagxai.laboratory.sounds.clips import Form

PhraseKind = Literal["clause", "noun"]
ANY: tuple[PhraseKind, ...] = ("clause", "noun")


class Phrase(NamedTuple):
    """A phrasing of an event: `article content`; whether words can stand before the content and after it."""

    article: str
    content: str
    kind: PhraseKind
    adjective: bool
    adverb: bool


class Filler(NamedTuple):
    """Words that name no event; `kinds` of phrase that it can stand beside; `closed`: no verb may follow it."""

    text: str
    kinds: tuple[PhraseKind, ...] = ANY
    closed: bool = False


class Pattern(NamedTuple):
    """A sentence of events, numbered in the order of their *sounding*, and the kinds of phrase each can be."""

    text: str
    kinds: tuple[tuple[PhraseKind, ...], ...]


def parse_phrases(clauses: str, nouns: str) -> list[Phrase]:
    """Parse `a [dog barks]* | someone ![whistles]*`: content in brackets, `*` takes an adverb, `!` no adjective."""
    found = []
    kinds: tuple[tuple[PhraseKind, str], ...] = (("clause", clauses), ("noun", nouns))
    for kind, line in kinds:
        for marked in filter(str.strip, line.split("|")):
            article, rest = marked.strip().split("[")
            content, adverb = rest.split("]")
            found.append(Phrase(article.strip(" !"), content, kind, "!" not in article, adverb == "*"))
    return found


PHRASES: dict[str, list[Phrase]] = {
    "dog": parse_phrases(
        "a [dog barks]* | the [dog is barking]* | a [puppy yaps]*",
        "a [dog barking]* | a [barking dog] | the [barking of a dog] | [barking of a dog] | a [puppy yapping]*",
    ),
    "rain": parse_phrases(
        "[rain falls]* | [rain pours down]* | the [rain is falling]*",
        "[rain falling]* | [falling rain] | [pouring rain] | the [patter of rain] | [rain pouring down]*",
    ),
    "siren": parse_phrases(
        "a [siren wails]* | the [siren is wailing]* | a [siren blares]*",
        "a [siren wailing]* | a [wailing siren] | the [wail of a siren] | [wailing of a siren] | a [blaring siren]",
    ),
    "bell": parse_phrases(
        "a [bell rings]* | the [bell is ringing]* | a [bell tolls]*",
        "a [bell ringing]* | a [ringing bell] | the [ringing of a bell] | [ringing of a bell] | a [tolling bell]",
    ),
    "clock": parse_phrases(
        "a [clock ticks]* | the [clock is ticking]* | a [watch ticks]*",
        "a [clock ticking]* | a [ticking clock] | the [ticking of a clock] | [ticking of a clock] | a [ticking watch]",
    ),
    "engine": parse_phrases(
        "an [engine runs]* | the [engine is running]* | a [motor hums]*",
        "an [engine running]* | a [running engine] | the [hum of an engine] | [humming of a motor] | a [humming motor]",
    ),
    "bird": parse_phrases(
        "a [bird chirps]* | the [bird is singing]* | a [bird sings]*",
        "a [bird chirping]* | a [chirping bird] | the [chirping of a bird] | [chirping of a bird] | a [singing bird]",
    ),
    "knock": parse_phrases(
        "someone ![knocks on a door]* | someone ![is knocking on the door]* | a [fist knocks on wood]*",
        "[knocking on a door]* | a [knock on the door] | someone ![knocking on a door]* | the [knocking of a fist]",
    ),
    "thunder": parse_phrases(
        "[thunder rumbles]* | the [thunder is rolling]* | [thunder rolls]*",
        "[thunder rumbling]* | [rumbling thunder] | the [rumble of thunder] | [rumbling of thunder]"
        " | [rolling thunder]",
    ),
    "alarm": parse_phrases(
        "an [alarm beeps]* | the [alarm is beeping]* | a [smoke detector beeps]*",
        "an [alarm beeping]* | a [beeping alarm] | the [beeping of an alarm] | [beeping of an alarm]"
        " | a [beeping smoke detector]",
    ),
    "wind": parse_phrases(
        "the [wind howls]* | the [wind is howling]* | [wind rushes]*",
        "[wind howling]* | [howling wind] | the [howling of the wind] | [howling of the wind] | [rushing wind]",
    ),
    "drum": parse_phrases(
        "a [drum beats]* | the [drum is beating]* | a [drum pounds]*",
        "a [drum beating]* | a [beating drum] | the [beating of a drum] | [beating of a drum] | a [pounding drum]",
    ),
    "cricket": parse_phrases(
        "a [cricket trills]* | the [cricket is trilling]* | a [cricket chirrs]*",
        "a [cricket trilling]* | a [trilling cricket] | the [trilling of a cricket] | [trilling of a cricket]"
        " | a [chirring cricket]",
    ),
    "whistle": parse_phrases(
        "someone ![whistles]* | someone ![is whistling]* | a [whistle blows]*",
        "someone ![whistling]* | a [whistle blowing]* | a [blowing whistle] | the [whistling of a man]"
        " | [whistling of a man]",
    ),
    "footsteps": parse_phrases(
        "[footsteps crunch]* | the [footsteps are crunching]* | someone ![walks on gravel]*",
        "[footsteps crunching]* | [crunching footsteps] | the [crunch of footsteps] | [crunching of footsteps]"
        " | someone ![walking on gravel]*",
    ),
    "glass": parse_phrases(
        "a [glass shatters]* | the [glass is shattering]* | a [window breaks]*",
        "a [glass shattering]* | [shattering glass] | the [shattering of glass] | [breaking glass]"
        " | a [window breaking]*",
    ),
    "waves": parse_phrases(
        "[waves crash]* | the [waves are crashing]* | the [surf roars]*",
        "[waves crashing]* | [crashing waves] | the [crashing of waves] | [crashing of waves] | the [roaring surf]",
    ),
    "buzz": parse_phrases(
        "a [bee buzzes]* | the [bee is buzzing]* | a [fly buzzes]*",
        "a [bee buzzing]* | a [buzzing bee] | the [buzzing of a bee] | [buzzing of a bee] | a [buzzing fly]",
    ),
    "laser": parse_phrases(
        "a [laser zaps]* | the [laser is zapping]* | a [laser fires]*",
        "a [laser zapping]* | a [zapping laser] | the [zap of a laser] | [zapping of a laser] | a [laser firing]*",
    ),
    "phone": parse_phrases(
        "a [phone rings]* | the [phone is ringing]* | a [telephone rings]*",
        "a [phone ringing]* | a [ringing phone] | the [ringing of a phone] | [ringing of a phone]"
        " | a [ringing telephone]",
    ),
}

FUNCTION_WORDS = {"a", "an", "the", "of", "on", "is", "are", "down", "at", "in"}
"""Words inside a phrase's or an attribute's content that name nothing themselves."""

ADJECTIVES: dict[str, tuple[str, ...]] = {
    "loud": ("loud",),
    "quiet": ("quiet", "soft"),
    "fast": ("fast", "rapid"),
    "slow": ("slow",),
    "high": ("high-pitched", "high"),
    "low": ("low-pitched", "low", "deep"),
    "near": ("nearby", "close"),
    "far": ("distant", "faraway"),
}
ADVERBS: dict[str, tuple[str, ...]] = {
    "loud": ("loudly",),
    "quiet": ("quietly", "softly"),
    "fast": ("fast", "rapidly", "quickly"),
    "slow": ("slowly",),
    "high": ("at a high pitch",),
    "low": ("at a low pitch",),
    "near": ("nearby", "close by"),
    "far": ("far away", "in the distance"),
    "once": ("once",),
    "twice": ("twice",),
    "three times": ("three times",),
}

PREFIXES = [
    Filler(""),
    Filler("the sound of", ("noun",)),
    Filler("in this recording", ("clause",), closed=True),
    Filler("there is", ("noun",), closed=True),
    Filler("we hear", ("noun",), closed=True),
]

SUFFIXES = [
    Filler(""),
    Filler("can be heard", ("noun",)),
    Filler("in this recording"),
    Filler("in the background"),
]

PATTERNS: dict[Form, list[Pattern]] = {
    "single": [Pattern("{0}", (ANY,))],
    "while": [
        Pattern("{0} while {1}", (ANY, ("clause",))),
        Pattern("{0} as {1}", (ANY, ("clause",))),
        Pattern("{0} and {1}", (("noun",), ("noun",))),
    ],
    "followed": [
        Pattern("{0} followed by {1}", (ANY, ("noun",))),
        Pattern("{0} then {1}", (ANY, ANY)),
        Pattern("{0} and then {1}", (ANY, ANY)),
        Pattern("{0} before {1}", (ANY, ANY)),
        Pattern("{1} after {0}", (ANY, ANY)),
        Pattern("after {0}, {1}", (ANY, ("clause",))),
        Pattern("before {1}, {0}", (("clause",), ANY)),
    ],
    "sequence": [
        Pattern("{0}, then {1}, then {2}", (ANY, ANY, ANY)),
        Pattern("{0}, followed by {1} and then {2}", (ANY, ("noun",), ("noun",))),
        Pattern("{0} then {1} and finally {2}", (ANY, ANY, ANY)),
    ],
    "layered": [
        Pattern("{0} while {1}, then {2}", (ANY, ("clause",), ANY)),
        Pattern("{0} and {1}, followed by {2}", (("noun",), ("noun",), ("noun",))),
        Pattern("{2} after {0} and {1}", (("noun",), ("noun",), ("noun",))),
        Pattern("after {0} and {1}, {2}", (("noun",), ("noun",), ("clause",))),
    ],
}
"""Numbers follow the sounds: in "{1} after {0}" the event named last is heard first."""

NEGATIONS = ("without", "but no", "with no", "and no")
"""Words between a sentence and the event that it denies; after "no", the phrase loses its article."""
