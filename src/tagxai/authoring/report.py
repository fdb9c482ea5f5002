"""What a check of a plugin found: a line for each promise, kept or broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tagxai.errors import error_sentence

Outcome = Literal["ok", "note", "FAILED"]


@dataclass(frozen=True)
class Finding:
    """What was checked, of what, how it came out, and a sentence about it."""

    subject: str
    check: str
    outcome: Outcome
    text: str = ""


@dataclass
class Findings:
    """Findings in the order of the checks; `on_finding` sees each as it comes."""

    on_finding: Callable[[Finding], None] = lambda finding: None
    all: list[Finding] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(finding.outcome == "FAILED" for finding in self.all)

    def add(self, subject: str, check: str, outcome: Outcome, text: str = "") -> None:
        self.all.append(Finding(subject, check, outcome, text))
        self.on_finding(self.all[-1])

    def expect(self, subject: str, check: str, holds: bool, text: str, missing: str, *, needed: bool = True) -> None:
        """`ok` with `text` where it holds; otherwise `missing`, as a failure or, where it is only advice, as a note."""
        self.add(subject, check, "ok" if holds else "FAILED" if needed else "note", text if holds else missing)

    def run(self, subject: str, check: str, call: Callable[[], str]) -> bool:
        """`ok` with the text that the call returns; a failure where it raises, whatever it raises."""
        try:
            text = call()
        except Exception as error:  # someone else's code can raise anything
            self.add(subject, check, "FAILED", error_sentence(error))
            return False
        self.add(subject, check, "ok", text)
        return True
