"""What a detector hears in a clip, beside what the prompt asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Heard:
    """The `sounds` that are heard anywhere in a clip, those that the prompt asks for, and those that it denies.

    `asked` is None where the prompt's meaning is not known.
    """

    sounds: tuple[str, ...]
    asked: tuple[str, ...] | None = None
    denied: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Asked for, not heard."""
        return tuple(sound for sound in self.asked or () if sound not in self.sounds)

    @property
    def extra(self) -> tuple[str, ...]:
        """Heard, not in the prompt; empty where the prompt's meaning is not known."""
        named = (*(self.asked or ()), *self.denied)
        return () if self.asked is None else tuple(sound for sound in self.sounds if sound not in named)

    @property
    def as_asked(self) -> bool:
        """Whether all that the prompt asks for is heard, and nothing else."""
        return self.asked is not None and set(self.sounds) == set(self.asked)

    def __str__(self) -> str:
        parts = [f"heard: {', '.join(self.sounds) or 'nothing that the detector knows'}"]
        for what, sounds in (
            ("heard, not in the prompt", self.extra),
            ("asked for, not heard", self.missing),
            ("denied, but heard", tuple(sound for sound in self.denied if sound in self.sounds)),
        ):
            if sounds:
                parts.append(f"{what}: {', '.join(sounds)}")
        if self.as_asked:
            parts.append("as asked")
        elif self.asked is None:
            parts.append("what this prompt asks for is not known")
        return "; ".join(parts)
