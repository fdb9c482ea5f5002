"""When a sound's beats start, in frames of the codec."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagxai.laboratory.sounds.styles import NATURAL, VALUES, Style
from tagxai.laboratory.sounds.waves import Rng


def beats(frames: int, period: int, rng: Rng, style: Style = NATURAL, first: int = 3, jitter: int = 0) -> list[int]:
    """Onsets (frames): one every `period`, the first within `first` frames, each moved by up to `jitter`.

    A count spreads its few beats evenly over the frames instead, which leaves no room for one more.
    """
    if style.count is not None:
        wanted = VALUES["count"].index(style.count) + 1
        shift = int(rng.integers(-2, 3))
        return [round(frames * (strike + 0.5) / wanted) - 2 + shift for strike in range(wanted)]
    regular = range(int(rng.integers(0, first + 1)), frames - 2, period)
    return sorted({int(np.clip(beat + rng.integers(-jitter, jitter + 1), 0, frames - 3)) for beat in regular})


def hits(frames: int, onsets: Sequence[int], lengths: int = 1) -> NDArray[np.bool_]:
    """Whether each frame lies within `lengths` frames of an onset `[frames]`."""
    on = np.zeros(frames, dtype=bool)
    for onset in onsets:
        on[onset : onset + lengths] = True
    return on
