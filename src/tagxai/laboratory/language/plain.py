"""Plain phrasings that no model was trained on, and that the embedded model plays all the same.

Each was measured by `benchmarks/plain_phrasings.py` on 16 clips: its event is heard in all of them, and no other event
in more than one. Phrasings that sound just as natural but fail this, such as "dogs bark", are left out on purpose.
"""

from tagxai.laboratory.language.phrases import ANY, Pattern, Phrase, parse_phrases
from tagxai.laboratory.sounds.clips import Form

PLAIN: dict[str, list[Phrase]] = {
    "alarm": parse_phrases(
        "an [alarm rings]* | an [alarm is ringing]* | an [alarm is sounding]* | a [smoke alarm beeps]*",
        "[alarm] | an [alarm] | the [alarm]",
    ),
    "bell": parse_phrases(
        "a [church bell rings]* | a [bell chimes]*", "[bell] | a [bell] | the [bell] | a [church bell]"
    ),
    "bird": parse_phrases(
        "a [bird is chirping]* | a [bird tweets]*",
        "[birds chirping]* | [bird] | a [bird] | the [bird] | a [bird tweeting]*",
    ),
    "buzz": parse_phrases("", "[buzzing] | a [bee] | a [fly]"),
    "clock": parse_phrases("an [old clock ticks]*", ""),
    "cricket": parse_phrases("a [cricket is chirping]*", "[cricket] | a [cricket] | [crickets] | [crickets chirping]*"),
    "dog": parse_phrases("a [puppy barks]*", "a [dog] | a [puppy]"),
    "drum": parse_phrases(
        "someone ![plays a drum]* | someone ![beats a drum]*",
        "[drum] | a [drum] | the [drum] | [drums] | [beating drums]",
    ),
    "engine": parse_phrases(
        "an [engine idles]* | an [engine is idling]* | an [engine hums]* | an [engine is humming]* | an [engine roars]*"
        " | a [car engine runs]* | a [motor runs]*",
        "[engine] | an [engine] | the [engine] | an [engine idling]* | a [car engine] | a [truck engine]"
        " | a [motorcycle engine] | a [motor]",
    ),
    "footsteps": parse_phrases(
        "someone ![walks]* | someone ![is walking]*",
        "[footsteps] | [footsteps on gravel] | [footsteps on wood] | people ![walking]* | [walking]",
    ),
    "glass": parse_phrases(
        "[glass breaks]* | a [glass breaks]* | a [glass is breaking]* | a [window shatters]*",
        "[glass] | the [glass] | [glass breaking]*",
    ),
    "knock": parse_phrases(
        "someone ![knocks]* | someone ![is knocking]* | someone ![knocks at a door]* | someone ![knocks at the door]*"
        " | a [person knocks on a door]*",
        "[knock] | a [knock] | a [knock at the door]",
    ),
    "laser": parse_phrases("a [laser is firing]*", "a [laser beam]"),
    "phone": parse_phrases(
        "a [mobile phone rings]* | a [telephone is ringing]*",
        "[phone] | a [phone] | the [phone] | a [telephone] | [telephone ringing]*",
    ),
    "rain": parse_phrases(
        "it ![is raining]* | it ![rains]* | [rain is falling]* | [rain is pouring]* | [heavy rain falls]*"
        " | [light rain falls]* | [heavy rain pours]*",
        "[rain] | the [rain] | [heavy rain] | [raining]",
    ),
    "siren": parse_phrases(
        "[sirens wail]* | a [police siren wails]* | an [ambulance siren wails]* | a [siren sounds]*"
        " | a [siren is sounding]* | a [siren howls]*",
        "[siren] | a [siren] | the [siren] | an [ambulance siren]",
    ),
    "thunder": parse_phrases(
        "[thunder cracks]* | [thunder is rumbling]*",
        "[thunder] | the [thunder] | a [thunderstorm] | a [clap of thunder]",
    ),
    "waves": parse_phrases(
        "the [waves crash]* | [ocean waves crash]* | the [sea roars]*",
        "[waves] | the [waves] | [ocean waves] | [sea waves] | [waves rolling]*",
    ),
    "whistle": parse_phrases(
        "a [man whistles]* | a [man is whistling]* | a [person whistles]* | someone ![blows a whistle]*",
        "a [whistle] | the [whistle]",
    ),
    "wind": parse_phrases("a [strong wind blows]*", "[wind] | the [wind] | [strong wind]"),
}

PLAIN_PATTERNS: dict[Form, list[Pattern]] = {
    "followed": [Pattern("{0}, then {1}", (ANY, ANY)), Pattern("{0}, followed by {1}", (ANY, ("noun",)))]
}
"""Patterns that were never trained on: on 40 pairs of events each, all events were heard, in the right order."""


def phrasings() -> list[str]:
    """The plain phrasings as prompts."""
    return [f"{phrase.article} {phrase.content}".strip() for phrases in PLAIN.values() for phrase in phrases]
