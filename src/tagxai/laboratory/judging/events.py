"""Figures of generated clips: events heard, their order, denied events absent, attributes as measured."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tagxai.laboratory import CLIP_FRAMES, FRAME_RATE, HOP
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.meters import Boundaries, value_of
from tagxai.laboratory.language.prompt import Mention, Prompt
from tagxai.laboratory.sounds.clips import SLOTS
from tagxai.lazy import Float

MARGIN = 0.1
"""By how much a slot's boundary may move, in seconds."""


class Tally:
    """Named lists of outcomes and their means."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[float]] = defaultdict(list)

    def add(self, outcome: float | np.bool_, *names: str) -> None:
        for name in names:
            self.outcomes[name].append(float(outcome))

    def mean(self, name: str) -> float | None:
        """Rounded to four places; None without outcomes."""
        values = self.outcomes.get(name)
        return round(sum(values) / len(values), 4) if values else None

    def means(self, prefix: str) -> dict[str, float | None]:
        """The means of all names that start with `prefix`, which is removed."""
        return {name[len(prefix) :]: self.mean(name) for name in sorted(self.outcomes) if name.startswith(prefix)}

    def count(self, name: str) -> int:
        return len(self.outcomes.get(name, []))


def judge(
    detector: EventDetector, asked: Sequence[Prompt], waveform: Float[Tensor, "batch samples"]
) -> dict[str, object]:
    """Events, order and denials of clips that were made for prompts.

    - recall: share of named events that are heard, overall, by form, by event, and with or without an attribute;
    - false_presence: share of the events not named by a prompt that are heard in its clip anyway;
    - order: share of clips with several slots in which all events are heard, each centred before those of later slots;
    - negation: share of denied events that are not heard.
    """
    heard, centre, tally = detector.present(waveform).numpy(), detector.centre(waveform).numpy(), Tally()
    for row, prompt in enumerate(asked):
        index = [detector.events.index(event) for event in prompt.events]
        for event, style, i in zip(prompt.events, prompt.scene.styles, index, strict=True):
            styled = "with_attribute" if style.chosen() else "without_attribute"
            tally.add(heard[row, i], "recall", f"form/{prompt.form}", f"event/{event}", f"style/{styled}")
        named = {mention.event for mention in prompt.mentions}
        for i, event in enumerate(detector.events):
            if event not in named:
                tally.add(heard[row, i], "false_presence")
        if prompt.scene.absent is not None:
            tally.add(not heard[row, detector.events.index(prompt.scene.absent)], "negation")
        slots = SLOTS[prompt.form]
        if slots[-1] > 0:
            ordered = all(
                centre[row, index[i]] < centre[row, index[j]]
                for i in range(len(slots))
                for j in range(len(slots))
                if slots[i] < slots[j]
            )
            tally.add(bool(heard[row, index].all()) and ordered, "order", f"order/{prompt.form}")
    names = ("recall", "false_presence", "order", "negation")
    return {
        "clips": len(asked),
        **{name: tally.mean(name) for name in names},
        "of": {name: tally.count(name) for name in names},
        "recall_by_form": tally.means("form/"),
        "recall_by_event": tally.means("event/"),
        "recall_by_style": tally.means("style/"),
        "order_by_form": tally.means("order/"),
    }


def stretch(probability: Float[Tensor, " frames"], mention: Mention) -> slice | None:
    """The samples in which a mention's event is heard within its slot, to within the margin; None if it is not."""
    first = max(0, round((mention.start_s - MARGIN) * FRAME_RATE))
    last = min(CLIP_FRAMES, round((mention.end_s + MARGIN) * FRAME_RATE))
    frames = (probability[first:last] > 0.5).nonzero()[:, 0]
    if len(frames) < 2:
        return None
    return slice(max(0, first + int(frames[0]) - 1) * HOP, min(last, first + int(frames[-1]) + 2) * HOP)


def attributes(
    detector: EventDetector,
    asked: Sequence[Prompt],
    waveform: Float[Tensor, "batch samples"],
    table: Boundaries | None = None,
) -> dict[str, Any]:
    """Share of attributes that the meters confirm, by kind, where an event sounds alone in its slot.

    An event that is not heard at all counts as wrong. By chance: a half, a third for counts. `table` holds the meters'
    boundaries where the codec is not the package's.
    """
    tally, probability = Tally(), detector(waveform)
    for row, prompt in enumerate(asked):
        slots = SLOTS[prompt.form]
        for mention in prompt.present:
            alone = slots.count(slots[prompt.events.index(mention.event)]) == 1
            for attribute in mention.attributes if alone else ():
                where = stretch(probability[row, :, detector.events.index(mention.event)], mention)
                right = where is not None and attribute.value == value_of(
                    mention.event, attribute.kind, waveform[row, where].numpy().astype(np.float64), table
                )
                tally.add(right, f"kind/{attribute.kind}", f"value/{attribute.value}", f"of/{attribute.kind}")
    return {
        **tally.means("kind/"),
        "by_value": tally.means("value/"),
        "of": {kind: tally.count(f"of/{kind}") for kind in tally.means("of/")},
    }


def bars(figures: Mapping[str, float | None], limits: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    """Each figure with its bar `(">=" or "<=", value)`, and whether it is met."""
    table = {}
    for name, (relation, limit) in limits.items():
        value = figures.get(name)
        met = value is not None and (value >= limit if relation == ">=" else value <= limit)
        table[name] = {"figure": value, "bar": f"{relation} {limit}", "met": met}
    return table
