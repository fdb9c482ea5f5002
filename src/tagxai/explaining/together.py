"""Explanations of several clips that their methods gain by making together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagxai.contract.attribution import Attribution
from tagxai.contract.foreign import is_built_in
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.explaining.attributing import attribute


class BatchedExplanations:
    """Explanations by the methods that run several clips as one batch, made before each clip is asked about.

    Where such a method fails, it has none here: it is asked again clip by clip, and blamed for its own failures.
    """

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self.methods = methods
        self._found: dict[tuple[str, int], Attribution] = {}

    def explain(
        self, generator: Generator, clips: Sequence[Generation], *, on_progress: OnProgress | None = None
    ) -> None:
        """Explain `clips`; what is left of earlier ones is forgotten."""
        self._found.clear()
        for name, method in self.methods.items():
            if len(clips) < 2 or not is_built_in(type(method)) or not method.explains_together:
                continue
            try:
                found = method.attribute_many(generator, clips, on_progress=on_progress)
            except Exception:  # reported when it is asked clip by clip
                continue
            self._found |= {(name, id(clip)): each for clip, each in zip(clips, found, strict=True)}

    def attribute(
        self, name: str, generator: Generator, clip: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        """As the method's own `attribute`."""
        found = self._found.get((name, id(clip)))
        return found or attribute(self.methods[name], generator, clip, on_progress=on_progress)
