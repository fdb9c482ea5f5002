"""The words with an effect, as one polynomial per event. All other words have no effect.

A term adds `strength` times the product of its words' counts to the logit of code 1 of its codebook, in its seconds.
One word is an additive effect; several are an AND; both words minus the pair are an OR; a negative pair suppresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from tagxai.contract.truth import WordKind


@dataclass(frozen=True)
class Term:
    strength: float
    words: tuple[str, ...]
    start: float = 0.0  # seconds; acts in [start, end)
    end: float = inf


@dataclass(frozen=True)
class Event:
    """One channel of the hidden states: the sum of its terms, read by one codebook."""

    codebook: int
    terms: tuple[Term, ...]


EVENTS = {
    "bell": Event(0, (Term(2, ("bell",)), Term(1, ("loud", "bell")))),  # additive; the pair sits in one token
    "rain": Event(1, (Term(2, ("rain",)), Term(2, ("drizzle",)), Term(-2, ("rain", "drizzle")))),  # OR: redundant
    "bark": Event(0, (Term(3, ("dog", "barks")),)),  # AND
    "shore": Event(1, (Term(3, ("wind", "waves", "gulls")),)),  # AND of three: Banzhaf values differ from Shapley's
    "siren": Event(0, (Term(3, ("siren",)), Term(-6, ("without", "siren")))),  # negation: less likely than unmentioned
    "thunder": Event(0, (Term(2, ("thunder",), end=0.5),)),  # acts only in the first half second,
    "echo": Event(1, (Term(2, ("echo",), start=0.5),)),  # and this one after it
    "distance": Event(1, (Term(1, ("distant",)),)),  # its word acts only through the next word's token
    "hush": Event(0, (Term(-1, ("quietly",)),)),  # additive, and negative
}

MODIFIERS = ("loud", "distant")
"""Words whose meaning the text encoder moves to the next token, if need be `</s>`; their own token is left empty."""

KINDS: dict[str, WordKind] = {
    "loud": "attribute",
    "distant": "attribute",
    "quietly": "attribute",
    "without": "negation",
}
"""The kinds of some words; the other words of the vocabulary name events, and all words outside it are filler."""

VOCABULARY = tuple(dict.fromkeys(word for event in EVENTS.values() for term in event.terms for word in term.words))


@dataclass(frozen=True)
class Link:
    """The logit is `bias + scale * polynomial`; the link turns it into log-probabilities."""

    bias: float
    scale: float


LINKS = {
    "logistic": Link(-1.0, 1.0),  # code 1 with probability sigmoid(logit): both codes are sampled
    # Code 1 has probability exp(logit), so its log-probability is the polynomial itself. For a prompt without repeated
    # words, the logit stays in (log 1/2, 0): code 1 is always more likely, and greedy sampling takes it.
    "linear": Link(-0.35, 1 / 32),
}
CEILING = -1e-3
"""The upper limit of the linear link's logit, since a log-probability is never above 0."""
