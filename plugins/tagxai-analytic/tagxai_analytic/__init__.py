"""A hand-set text-to-audio generator whose attributions are known: what a correct method must find on it."""

from __future__ import annotations

from tagxai import Generator, hookimpl
from tagxai_analytic.closed_form import ClosedForm
from tagxai_analytic.generator import AnalyticGenerator
from tagxai_analytic.vocabulary import EVENTS, KINDS, Term

__all__ = ["EVENTS", "KINDS", "AnalyticGenerator", "ClosedForm", "Term"]


@hookimpl
def tagxai_generators() -> list[type[Generator]]:
    return [AnalyticGenerator]
