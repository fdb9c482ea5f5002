"""One cell of a benchmark: what a metric says of a method's explanation of a clip."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A metric's value, or the error that took its place; neither where the cell is yet to be computed.

    `seconds` and `passes` are what the explanation cost, `generate_seconds` what its clip cost. The fields are the
    columns of results.csv and costs.csv.
    """

    generator: str
    prompt: str
    seed: int
    method: str
    metric: str
    value: float | None = None
    error: str | None = None
    generate_seconds: float | None = None
    seconds: float | None = None
    passes: str = ""
