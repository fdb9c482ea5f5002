"""A named source of prompts for benchmarks: what a plugin with a data set subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar


class PromptSet(ABC):
    """Prompts by a name, which benchmarks write as `NAME` or `NAME:ARGUMENT`: `--prompts mine:100`."""

    name: ClassVar[str]

    @abstractmethod
    def prompts(self, argument: str) -> Sequence[str]:
        """The prompts, always in the same order; `argument` is what follows the name, perhaps nothing.

        Raises TagxaiError for an argument that it does not understand.
        """
