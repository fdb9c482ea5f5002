"""Needed now: does an explanation show *when* the model needs a word, rather than which frames the word has made?

A second question, with another answer: a word usually acts at its sound's onset, after which the model continues what
the clip has begun. A mask per frame can be right about one of the two questions and wrong about the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.truth import Level
from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.word_time import average_precision


@dataclass(frozen=True)
class NeededNow(Localisation):
    """Average precision of word x time by the truth of short windows: the sound stops if the word is cut then."""

    name: ClassVar[str] = "needed_now"
    expense: ClassVar[str] = "a clip for each window of 0.4 s and event that sounds in it, shared by all methods"
    formula = staticmethod(average_precision)

    level: Level = "now"
