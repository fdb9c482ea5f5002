"""A text-to-audio generator set by hand, so that the results of a correct method on it are known."""

from __future__ import annotations

from tagxai import Generator, hookimpl
from tagxai_analytic.closed_form import ClosedForm
from tagxai_analytic.generator import AnalyticGenerator
from tagxai_analytic.vocabulary import EVENTS, KINDS, Term

__all__ = ["EVENTS", "KINDS", "AnalyticGenerator", "ClosedForm", "Term"]


@hookimpl
def tagxai_generators() -> list[type[Generator]]:
    return [AnalyticGenerator]
