"""One cell of a benchmark: what a metric says of a method's explanation of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from tagxai.errors import NotApplicableError

Status = Literal["value", "not applicable", "failed", "missing"]
"""What has become of a cell. Not applicable: the question has no answer here. Missing: still to be computed."""

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Measurement:
    """A metric's value, or the sentence that took its place; neither where the cell is yet to be computed.

    `error` says what failed, `not_applicable` why there can be no value. `seconds` and `passes` are what the
    explanation cost, `generate_seconds` what its clip cost.
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
    not_applicable: str | None = None

    @property
    def status(self) -> Status:
        if self.value is not None:
            return "value"
        if self.not_applicable is not None:
            return "not applicable"
        return "missing" if self.error is None else "failed"

    @property
    def why(self) -> str:
        """Why there is no value; empty where there is one, or where it is still to be computed."""
        return self.error or self.not_applicable or ""


def without_value(error: Exception | str) -> dict[str, Any]:
    """The field of a Measurement that says why it has no value.

    >>> without_value("it ran out of memory"), without_value(NotApplicableError("no truth is known"))
    ({'error': 'it ran out of memory'}, {'not_applicable': 'no truth is known'})
    """
    return {"not_applicable" if isinstance(error, NotApplicableError) else "error": str(error)}
