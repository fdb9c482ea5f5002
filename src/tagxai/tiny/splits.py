"""Which combinations of events belong to which split: the test combinations are never trained, by codec, detector or
model."""

from itertools import permutations
from typing import Literal

from tagxai.tiny.sounds import EVENTS

Split = Literal["train", "validation", "test"]


def split_of(form: str, events: tuple[str, ...]) -> Split:
    """The split of an event combination, by the events' distance on the ring of all events.

    `followed` is ordered: the reverse of a test pair may be trained, so that getting its order right cannot be
    recalled. `while` is not: both orders of a pair share a split, since they sound the same. In the test split every
    event takes each role exactly once. Single events are trained all; their phrasings are split in the grammar.
    """
    if form == "single":
        return "train"
    first, second = (EVENTS.index(event) for event in events)
    step = (second - first) % len(EVENTS)
    if form == "followed":
        return "test" if step == 3 else "validation" if step == 4 and first % 2 == 0 else "train"
    low = first if step == 2 else second
    around = min(step, len(EVENTS) - step)
    return "test" if around == 5 else "validation" if around == 2 and low % 4 < 2 else "train"


def combinations(form: str, split: Split) -> list[tuple[str, ...]]:
    """All event combinations of a form in a split; single events are in every split."""
    if form == "single":
        return [(event,) for event in EVENTS]
    return [pair for pair in permutations(EVENTS, 2) if split_of(form, pair) == split]
