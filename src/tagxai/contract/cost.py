"""What an explanation cost: passes of the model, counted by the `Run` that asked for them, seconds and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Cost:
    """`forward_passes` count the rows of all plain forward calls; one row is the clip run once.

    `backward_passes` are vector-Jacobian products, `forward_mode_passes` directions of forward-mode differentiation,
    `layer_passes` rows of one layer that was run apart. `model_calls` count calls of the model, whatever their rows.
    `clips` are those that were sampled. When clips are explained together, each has its own rows, every call that it
    took part in, and its share of the seconds. `peak_memory_bytes` is that of the device where it is a GPU, else of
    the process so far. `other` holds what earlier versions of tagxai counted besides.
    """

    seconds: float | int = 0.0
    model_calls: int = 0
    forward_passes: int = 0
    backward_passes: int = 0
    forward_mode_passes: int = 0
    layer_passes: int = 0
    clips: int = 0
    peak_memory_bytes: int = 0
    other: Mapping[str, float | int] = field(default_factory=dict)

    def to_json(self) -> dict[str, float | int]:
        """What is not zero, by name."""
        counted = asdict(self)
        other = counted.pop("other")
        return {name: value for name, value in counted.items() if value or name == "seconds"} | other

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Cost:
        """Reads the files of all versions."""
        content = dict(content)
        content["backward_passes"] = content.get("backward_passes", 0) + content.pop("reverse_mode_passes", 0)
        known = {each.name for each in fields(cls)} - {"other"}
        own = {name: value for name, value in content.items() if name in known}
        return cls(**own, other={name: value for name, value in content.items() if name not in known})


@dataclass
class Counter:
    """What has been counted so far."""

    model_calls: int = 0
    forward_passes: int = 0
    backward_passes: int = 0
    forward_mode_passes: int = 0
    layer_passes: int = 0
    clips: int = 0
    seconds: float = 0.0
    """What the work took that another did before, and whose result was at hand: it counts as if done again."""

    def add(self, **passes: float) -> None:
        for name, number in passes.items():
            setattr(self, name, getattr(self, name) + number)


_counter: ContextVar[Counter | None] = ContextVar("tagxai_counter", default=None)


@contextmanager
def counting(counter: Counter) -> Iterator[None]:
    """Count what is reported to `count` inside the block; a block inside another counts for itself."""
    token = _counter.set(counter)
    try:
        yield
    finally:
        _counter.reset(token)


def count(**passes: float) -> None:
    """Add to the counter of the block around, if there is one: `count(backward_passes=3)`."""
    counter = _counter.get()
    if counter is not None:
        counter.add(**passes)
