"""What every training loop needs: a learning-rate schedule and timed progress lines."""

import math
import time
from collections.abc import Callable


def report(stage: str) -> Callable[..., None]:
    """A function that prints progress lines, with the minutes since it was made."""
    start = time.monotonic()

    def line(*parts: object) -> None:
        print(f"[{stage} {(time.monotonic() - start) / 60:5.1f} min]", *parts, flush=True)

    return line


def schedule(step: int, steps: int, warmup: int = 200, last: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, then a cosine down to `last`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * progress))
