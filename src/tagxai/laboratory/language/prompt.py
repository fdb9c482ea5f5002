"""A prompt with its truth: which characters name which event or attribute, and when that event should sound."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tagxai.laboratory.language.phrases import FUNCTION_WORDS
from tagxai.laboratory.sounds.clips import Form
from tagxai.laboratory.sounds.scenes import Scene
from tagxai.laboratory.sounds.styles import AttributeKind

WordKind = Literal["event", "attribute", "negation", "connective", "filler"]


@dataclass(frozen=True)
class Attribute:
    """Words that change how an event sounds: a kind and value of `styles.VALUES`, and their characters."""

    kind: AttributeKind
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
    attribute: AttributeKind | None = None


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
