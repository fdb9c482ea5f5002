"""Which combinations of events belong to which split: the test combinations are never trained, by codec or model."""

from functools import cache
from itertools import permutations
from typing import Literal

from tagxai.laboratory.sounds.clips import SLOTS, Form
from tagxai.laboratory.sounds.synthesis import EVENTS

Split = Literal["train", "validation", "test"]


def followed_split(first: str, second: str) -> Split:
    """The split of one event right after another, by their distance on the ring of all events.

    It is ordered: the reverse of a test pair may be trained, so that getting its order right cannot be recalled. In
    the test split every event takes each role twice.
    """
    step = (EVENTS.index(second) - EVENTS.index(first)) % len(EVENTS)
    return "test" if step in (3, 9) else "validation" if step == 6 else "train"


def together_split(first: str, second: str) -> Split:
    """The split of two events at once; both orders of a pair share it, since they sound the same."""
    step = (EVENTS.index(second) - EVENTS.index(first)) % len(EVENTS)
    around = min(step, len(EVENTS) - step)
    return "test" if around in (5, 10) else "validation" if around == 8 else "train"


def negated_split(event: str, absent: str) -> Split:
    """The split of "the event without the absent one"."""
    step = (EVENTS.index(absent) - EVENTS.index(event)) % len(EVENTS)
    return "test" if step in (2, 13) else "validation" if step == 4 else "train"


def hardest(splits: list[Split]) -> Split:
    """The split of a whole that has these parts: one test pair makes a test combination."""
    return "test" if "test" in splits else "validation" if "validation" in splits else "train"


def split_of(form: Form, events: tuple[str, ...], absent: str | None = None) -> Split:
    """The split of a combination of events in the order of their sounding, and of one that is named to be absent.

    Single events are trained all; their phrasings are split in the grammar.
    """
    slots, parts = SLOTS[form], list[Split]()
    for i, first in enumerate(events):
        for j, second in enumerate(events[i + 1 :], start=i + 1):
            if slots[i] == slots[j]:
                parts.append(together_split(first, second))
            elif slots[j] == slots[i] + 1:
                parts.append(followed_split(first, second))
    if absent is not None:
        parts.append(negated_split(events[0], absent))
    return hardest(parts)


@cache
def combinations(form: Form, split: Split) -> tuple[tuple[str, ...], ...]:
    """All combinations of different events of a form in a split; single events are in every split."""
    if form == "single":
        return tuple((event,) for event in EVENTS)
    return tuple(group for group in permutations(EVENTS, len(SLOTS[form])) if split_of(form, group) == split)
