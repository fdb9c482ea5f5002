"""The plugin of `survival.py`: methods that misbehave, and metrics that write to a journal when they start."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from tagxai import Method, hookimpl
from tagxai.contract.attention import edit_attention
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores

JOURNAL = "SURVIVAL_JOURNAL"
PREFIX = "counted_"

LEFT: list[Any] = []
"""Edits that nobody removes."""


@dataclass(frozen=True)
class Bad(Method):
    """A method that does what no method may do."""

    name = "bad"
    how: str = "raises"

    def explain(self, run: Run) -> Scores:
        from tagxai.methods.cross_attention import CrossAttention

        found = CrossAttention().explain(run)
        if self.how == "raises":
            raise RuntimeError("a bug")
        if self.how == "nan":
            found.values.fill_(float("nan"))
        if self.how == "shape":
            found = Scores(found.values[:, :-1])
        if self.how == "hook":
            for part in run.model.modules().values():
                part.register_forward_hook(lambda *_: None)
        if self.how == "edit":
            LEFT.append(edit_attention(run.model.attention_sites()[-1:], lambda site, weights: weights * 0))
            LEFT[-1].__enter__()
        while self.how == "endless":
            time.sleep(0.01)
        if self.how == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        return found


BAD = {
    "raises": "RuntimeError: a bug",
    "nan": "NaN",
    "shape": "do not fit a generation",
    "hook": "it left hooks",
    "edit": "it left something behind",
    "endless": "it took longer than the limit",
    "crash": "its process died",
}


@hookimpl
def tagxai_methods() -> list[Any]:
    from survival_misdeeds import Misdeed

    return [Bad, Misdeed]


@hookimpl
def tagxai_metrics() -> list[Any]:
    from tagxai.registering.registry import builtin

    return [_counted(cls) for cls in builtin.tagxai_metrics()]


def _counted(cls: Any) -> Any:
    """The metric, made to write to the journal when it starts."""
    asked = "score_method" if hasattr(cls, "score_method") else "score"

    def score(self: Any, generator: Any, generation: Any, attribution: Any, *rest: Any) -> float:
        line = json.dumps([generation.prompt, str(generation.seed), attribution.method, self.name])
        journal = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(journal, (line + "\n").encode())  # at once and at the end, whoever else writes
        os.close(journal)
        return getattr(cls, asked)(self, generator, generation, attribution, *rest)

    return type(cls.__name__, (cls,), {"name": PREFIX + cls.name, "__doc__": cls.__doc__, asked: score})
