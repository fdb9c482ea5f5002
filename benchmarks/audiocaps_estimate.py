"""What 1,000 captions of AudioCaps would take with AudioGen-medium on H100s, from what each stage asks of the model."""

from __future__ import annotations

from collections.abc import Mapping

from full_size import h100_seconds

CAPTIONS, BATCH = 1000, 64
LAYERS, WIDTH, POSITIONS = 48, 1536, 253
"""AudioGen-medium's decoder, and the steps of 5 s of codes in its delay pattern."""
PARAMETERS = LAYERS * 16 * WIDTH**2


def seconds(positions: float, calls: float) -> float:
    """By `full_size.py`, for one H100 in bfloat16, of so many positions in all rows."""
    return h100_seconds({"positions": positions, "calls": calls}, PARAMETERS, LAYERS)


def clip_seconds(batch: int) -> float:
    """A clip's share of a batch: a step at a time, two rows a clip for guidance."""
    return seconds(2 * batch * POSITIONS, POSITIONS) / batch


def table(counts: Mapping[str, Mapping[str, float]], captions: int) -> list[str]:
    """The estimate as a table of Markdown; `counts` are of so many captions."""
    lines = [f"## Estimate: {CAPTIONS:,} captions, AudioGen-medium, bfloat16", ""]
    lines += ["| stage | clips | passes | one by one (h) | batches (h) | eight H100s (h) |", "| --- " * 6 + "|"]
    totals = [0.0, 0.0]
    for stage, counted in counts.items():
        clips, positions, calls = (
            counted.get(name, 0) * CAPTIONS / captions for name in ("clips", "positions", "calls")
        )
        passes, times = positions / POSITIONS, seconds(positions, calls)
        if not clips and not passes:
            continue
        hours = [(clips * clip_seconds(batch) + times) / 3600 for batch in (1, BATCH)]
        totals = [total + each for total, each in zip(totals, hours, strict=True)]
        cells = [f"{clips:,.0f}", f"{passes:,.0f}", *(f"{each:.2f}" for each in (*hours, hours[1] / 8))]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    lines.append(f"| all | | | {totals[0]:.2f} | {totals[1]:.2f} | {totals[1] / 8:.2f} |")
    assumed = (
        f"A pass is one of a clip's {POSITIONS} steps under one condition; one that is differentiated counts as three. "
        f"Assumed: {PARAMETERS / 1e9:.2f} G parameters of the decoder, batches of {BATCH} clips, eight cards that "
        "share nothing and end together. An estimate, not a measurement."
    )
    return [*lines, "", assumed]
