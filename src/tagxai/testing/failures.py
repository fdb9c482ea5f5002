"""Deliberate failures, and a generator without capabilities, to see how a plugin handles them."""

from __future__ import annotations

from typing import Any, NoReturn

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Generator
from tagxai.contract.values import Progress
from tagxai.lazy import torch
from tagxai.testing.promises import ConformanceError


class DeliberateFailure(Exception):
    """Raised on purpose, to see whether anything is left behind."""


def fail(progress: Progress) -> NoReturn:
    raise DeliberateFailure


class FailingEdit:
    """An edit that raises when it is run for the `at`-th time (never, where that is 0), and counts its runs."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.seen = at, 0

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise DeliberateFailure


class OffersNothing(Generator):
    """A generator without capabilities, which raises when it is used nevertheless."""

    name = "offers_nothing"
    offers = frozenset()

    @classmethod
    def _used(cls, *args: Any, **kwargs: Any) -> Any:
        raise ConformanceError("the method works with a generator that does not offer what it needs")

    load = timeline = generate_one = encode_prompt = forward = decode = attention_sites = _used
