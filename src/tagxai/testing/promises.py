"""The promises of a contract, each with the sentence for a plugin that breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass

from tagxai.contract.attention import edit_attention, position
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation, Progress
from tagxai.lazy import torch


class ConformanceError(AssertionError):
    """A plugin that breaks a promise of its contract."""


class Promise:
    """`promise(kept, broken)` raises ConformanceError "<subject> <broken>" where the promise was not kept."""

    def __init__(self, kind: str, subject: object) -> None:
        self.subject = f"{kind} {getattr(subject, 'name', None) or type(subject).__name__!r}"

    def __call__(self, kept: bool, broken: str) -> None:
        if not kept:
            raise ConformanceError(f"{self.subject} {broken}")

    def raises(self, expected: type[Exception], call: Callable[[], object], situation: str) -> None:
        try:
            call()
        except expected:
            return
        except Exception as error:
            raise ConformanceError(
                f"{self.subject} raises {type(error).__name__} {situation}; expected {expected.__name__}"
            ) from error
        raise ConformanceError(f"{self.subject} raises nothing {situation}; expected {expected.__name__}")

    def is_close(self, found: torch.Tensor, expected: torch.Tensor, tolerance: float, broken: str) -> None:
        same_shape = found.shape == expected.shape
        self(same_shape, f"{broken}: shape {tuple(found.shape)} against {tuple(expected.shape)}")
        difference = (found - expected).abs().max().item()
        close = torch.allclose(found, expected, atol=tolerance, rtol=tolerance)
        self(close, f"{broken}: they differ by up to {difference:.3g}, tolerance {tolerance:g}")

    def is_json(self, value: object, what: str) -> None:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConformanceError(f"{self.subject} has {what} that JSON cannot hold: {error}") from None

    def is_described(self, cls: type) -> None:
        """A name, and a docstring whose first line `tagxai list` shows."""
        name = getattr(cls, "name", None)
        self(isinstance(name, str) and bool(name.strip()), f"has no `name`: {name!r}")
        first = (vars(cls).get("__doc__") or "").strip().partition("\n")[0]
        generated = is_dataclass(cls) and first.startswith(f"{cls.__name__}(")  # what @dataclass writes by itself
        self(bool(first) and not generated, "has no docstring; its first line is what `tagxai list` shows")

    @contextmanager
    def leaves_alone(self, generator: Generator, generation: Generation, when: str = "") -> Iterator[None]:
        """The block must leave nothing behind: in the generator, its outputs, or the process's random state."""
        output = _outputs(generator, generation)
        state = _state(generator)
        yield
        after = _state(generator)
        for what, before in state.items():
            self(after[what] == before, f"changes {what}{when}")
        self(
            torch.equal(_outputs(generator, generation), output),
            f"changes the generator's output{when}: an attention edit or other state is left behind",
        )


def check_progress(promise: Promise, reports: Sequence[Progress]) -> None:
    promise(all(isinstance(report, Progress) for report in reports), "reports progress that is not a Progress")
    promise(all(0 <= report.done <= report.total for report in reports), "reports progress beyond its total")


def models_of(generator: Generator) -> list[torch.nn.Module]:
    """The models that a generator says it holds."""
    return list(generator.modules().values())


def _state(generator: Generator) -> dict[str, object]:
    """State that only loading may change, named by words that complete "changes ...".

    Python's own random state is not included: MusicGen in transformers draws from it in every layer (for a layer
    drop that is off), without consequence.
    """
    import numpy

    parts = [part for model in models_of(generator) for part in model.modules()]
    weights = [tensor for model in models_of(generator) for tensor in (*model.parameters(), *model.buffers())]
    return {
        "the model's weights": [(t.double().sum().item(), t.double().square().sum().item()) for t in weights],
        "which weights need gradients": [t.requires_grad for t in weights],
        "the gradients stored on weights": [t.grad is None for t in weights if t.is_leaf],
        "the model's training mode": [part.training for part in parts],
        "the hooks on the model's modules": [
            (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks)) for part in parts
        ],
        "the position seen by attention edits": position(),
        "whether gradients are enabled": torch.is_grad_enabled(),
        "torch's global random state": torch.random.get_rng_state().tolist(),
        "numpy's global random state": repr(numpy.random.get_state()),
    }


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """A different global random state inside the block: results may neither depend on it nor change it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def log_prob_of(generator: Generator, generation: Generation) -> torch.Tensor:
    with torch.no_grad():
        return generator.forward(generation).log_prob


def _outputs(generator: Generator, generation: Generation) -> torch.Tensor:
    """A plain pass, and one with an edit that only reads: leftovers may show only once hooks are in use."""
    plain = log_prob_of(generator, generation)
    with edit_attention(generator.attention_sites(), lambda site, weights: None):
        return torch.cat([plain, log_prob_of(generator, generation)])
