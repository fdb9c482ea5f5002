"""captum's algorithms by their names, such as `captum:KernelShap`, with captum's own options (Kokhlikyan et al., 2020).

captum explains one number at a time: here the log-probability of all codes in a window of time, for one window after
another. A gradient algorithm sees the prompt's embeddings, and the null condition as its baseline. A perturbation
algorithm sees a row of ones, one for each word, and zeroes some: `tagxai.scoring` scores each such coalition once for
all windows, which draw the same coalitions since each starts from the same seed.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass, replace
from functools import cache, reduce
from importlib.util import find_spec
from itertools import pairwise
from operator import or_
from time import perf_counter
from typing import Any, ClassVar, Literal, get_args

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.seeding import seeded
from tagxai.contract.values import Generation, OnProgress, Progress
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.errors import TagxaiError, UnknownNameError, UnsupportedError
from tagxai.lazy import torch
from tagxai.methods.captum_names import ALGORITHMS, PREFIX, REFUSED, Algorithm, option_docs
from tagxai.scoring import By, Operator, Target, score
from tagxai.text import words

MOST_UNITS = {"captum:ShapleyValues": 6}
"""Units up to which an algorithm ends: exact Shapley values go through all orders of the words."""


@dataclass(frozen=True)
class CaptumMethod(Method):
    """The part that all of captum's algorithms share; those of a class made by `captum_method` follow below."""

    algorithm: ClassVar[Algorithm]
    captum_options: ClassVar[tuple[str, ...]]

    resolution: float | None = 0.5
    """Seconds of a window whose log-probability is explained; `none` takes all of the clip as one."""
    start: float | None = None
    """Explain from here, in seconds; scores elsewhere are 0."""
    end: float | None = None
    """Explain up to here, in seconds."""
    seed: int = 0
    """Of what the algorithm draws."""

    def __post_init__(self) -> None:
        self.require("resolution", self.resolution is None or self.resolution > 0, "above 0")
        for key in self.captum_options:
            value, smallest = getattr(self, key), 0 if isinstance(getattr(self, key), float) else 1
            if isinstance(value, int | float) and not isinstance(value, bool):
                self.require(key, value >= smallest, f"at least {smallest}")

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        task = self._task(generator, generation)
        windows = self._windows(generation)
        scores = torch.zeros(1, generation.frames, len(generation.tokens))
        missed = []
        for done, window in enumerate(windows):
            with seeded(self.seed):
                found = self._run(task, window)
            codes = len(window) * len(generation.codes)
            if self.algorithm.adds_up:
                missed.append(abs(found.sum().item() - task.effect(window)) / codes)
            scores[0, window.start : window.stop] = task.per_token(found) / codes
            if on_progress is not None:
                on_progress(Progress(done + 1, len(windows), self.name))
        diagnostics: dict[str, Any] = {"windows": len(windows)}
        if missed:
            diagnostics |= {"completeness_error_mean": sum(missed) / len(missed), "completeness_error_max": max(missed)}
        return Attribution(
            generation,
            scores,
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, **task.passes},
            diagnostics=diagnostics,
        )

    @abstractmethod
    def _task(self, generator: Generator, generation: Generation) -> _Gradients | _Perturbations: ...

    def _windows(self, generation: Generation) -> list[range]:
        frames = generation.frame_range(self.start, self.end)
        count = 1 if self.resolution is None else round(len(frames) / (self.resolution * generation.frame_rate))
        count = min(max(1, count), len(frames))
        edges = [frames.start + len(frames) * i // count for i in range(count + 1)]
        return [range(a, b) for a, b in pairwise(edges)]

    def _run(self, task: _Gradients | _Perturbations, window: range) -> torch.Tensor:
        """What captum makes of one window, in the shape of the task's inputs without the batch."""
        import captum.attr

        options = {key: getattr(self, key) for key in self.captum_options} | task.options(self.captum_options)
        if "sliding_window_shapes" in options:
            options["sliding_window_shapes"] = (options["sliding_window_shapes"],)
        algorithm = getattr(captum.attr, self.algorithm.name)(lambda inputs: task.log_prob(inputs, window))
        try:
            found = algorithm.attribute(task.inputs.clone().requires_grad_(task.differentiable), **options)
        except AssertionError as error:  # how captum tells that it cannot work with its options
            raise TagxaiError(f"captum cannot work with these options of {self.name!r}: {error}") from None
        return found[0].detach().float().cpu()


@dataclass(frozen=True)
class CaptumGradients(CaptumMethod):
    """Of captum's algorithms, those that differentiate."""

    needs = frozenset({"gradients"})

    target: Literal["conditional", "guided"] = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""

    def _task(self, generator: Generator, generation: Generation) -> _Gradients:
        return _Gradients(self, generator, generation)


@dataclass(frozen=True)
class CaptumPerturbations(CaptumMethod):
    """Of captum's algorithms, those that take words away."""

    needs = frozenset({"attention"})

    target: Target = "conditional"
    """Whose log-probability: `conditional`, `guided` (under classifier-free guidance) or `contrast`; or `hidden`, how
    alike the hidden states stay."""
    operator: Operator = "value"
    """How a word is taken away: `value`, `gate` or `attention` (from cross-attention), `null` (its embeddings), or
    `delete` (its text). See `tagxai.scoring`."""
    by: By = "word"
    """Whether words, noun phrases or the model's own tokens are taken away."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("by", self.by in get_args(By), f"one of {', '.join(get_args(By))}")

    def _task(self, generator: Generator, generation: Generation) -> _Perturbations:
        return _Perturbations(self, generator, generation)


class _Gradients:
    """Embeddings in, log-probability of a window out."""

    differentiable = True

    def __init__(self, method: CaptumGradients, generator: Generator, generation: Generation) -> None:
        self.method, self.generator, self.generation = method, generator, generation
        self.conditioning = generator.encode_prompt([generation.prompt])
        self.inputs = self.conditioning.embeddings
        self.passes = {"reverse_mode_passes": 0}
        self._effects: torch.Tensor | None = None

    def options(self, known: tuple[str, ...]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.method.algorithm.takes_baselines:
            options["baselines"] = torch.zeros_like(self.inputs)
        if "internal_batch_size" in known and getattr(self.method, "internal_batch_size") is None:  # noqa: B009
            options["internal_batch_size"] = max(1, ROWS_AT_ONCE // self.generation.steps)
        return options

    def log_prob(self, inputs: torch.Tensor, window: range) -> torch.Tensor:
        rows = replace(self.conditioning.expand(len(inputs)), embeddings=inputs.to(self.inputs.dtype))
        self.passes["reverse_mode_passes"] += len(inputs)
        return self._all(rows, self.method.target)[..., window.start : window.stop].sum((1, 2))

    def effect(self, window: range) -> float:
        if self._effects is None:
            with torch.no_grad():
                given, null = (self._all(self.conditioning, b) for b in (self.method.target, "unconditional"))
            self._effects = (given - null)[0]
        return self._effects[:, window.start : window.stop].sum().item()

    def per_token(self, found: torch.Tensor) -> torch.Tensor:
        return found.norm(dim=-1) if self.method.algorithm.join == "length" else found.sum(-1)

    def _all(self, rows: Any, branch: Any) -> torch.Tensor:
        log_prob = self.generator.forward(self.generation, rows, branch=branch).log_prob
        assert log_prob is not None
        return log_prob


class _Perturbations:
    """Coalitions of words in, log-probability of a window out; each coalition is scored once for all windows."""

    differentiable = False

    def __init__(self, method: CaptumPerturbations, generator: Generator, generation: Generation) -> None:
        self.method, self.generator, self.generation = method, generator, generation
        prompt = generation.prompt, generation.token_spans, generation.tokens
        self.units = {"word": words.words, "phrase": words.phrases, "token": words.tokens}[method.by](*prompt)
        most = MOST_UNITS.get(method.name)
        if most is not None and len(self.units) > most:
            raise TagxaiError(
                f"method {method.name!r} goes through all n! orders: expected at most {most} units, not "
                f"{len(self.units)}; take captum:ShapleyValueSampling"
            )
        if len(self.units) < 2:
            raise TagxaiError(f"method {method.name!r} compares at least 2 units of a prompt; this one has 1")
        self.inputs = torch.ones(1, len(self.units))
        self.passes = {"forward_passes": 0}
        self._scored: dict[tuple[bool, ...], torch.Tensor] = {}

    def options(self, known: tuple[str, ...]) -> dict[str, Any]:
        return {"baselines": 0}

    def log_prob(self, inputs: torch.Tensor, window: range) -> torch.Tensor:
        rows = [tuple(row) for row in (inputs > 0.5).tolist()]
        new = [row for row in dict.fromkeys(rows) if row not in self._scored]
        if new:
            table = score(
                self.generator,
                self.generation,
                self.units,
                torch.tensor(new),
                operator=self.method.operator,
                target=self.method.target,
            )
            self._scored |= dict(zip(new, table.log_prob, strict=True))
            self.passes["forward_passes"] += len(new)
        return torch.stack([self._scored[row][:, window.start : window.stop].sum() for row in rows]).float()

    def effect(self, window: range) -> float:
        every, none = self.log_prob(torch.tensor([[1.0], [0.0]]).expand(-1, len(self.units)), window).tolist()
        return every - none

    def per_token(self, found: torch.Tensor) -> torch.Tensor:
        values = torch.zeros(len(self.generation.tokens))
        for unit, value in zip(self.units, found, strict=True):  # a unit's tokens share its value equally
            values[list(unit.tokens)] = value / len(unit.tokens)
        return values


@cache
def captum_method(name: str) -> type[Method]:
    """The method for one of captum's algorithms. Raises TagxaiError where captum lacks it, or is not installed."""
    short = name.removeprefix(PREFIX)
    if short in REFUSED:
        raise UnsupportedError(f"method {name!r} cannot explain these models: {REFUSED[short]}")
    if short not in ALGORITHMS:
        raise UnknownNameError("method", name, [PREFIX + known for known in ALGORITHMS])
    missing = [package for package in ("captum", "sklearn") if find_spec(package) is None]
    if missing:
        raise TagxaiError(f"method {name!r} needs the extra 'captum': pip install 'tagxai[captum]'")
    import captum.attr

    algorithm = ALGORITHMS[short]
    attribute = getattr(captum.attr, short).attribute
    options = _options(attribute)
    base = CaptumGradients if algorithm.kind == "gradient" else CaptumPerturbations
    docs = option_docs(attribute)
    fields = [
        (key, kind, field(default=default, metadata={"text": docs.get(key, "")}))
        for key, (kind, default) in options.items()
    ]
    namespace = {
        "name": name,
        "algorithm": algorithm,
        "captum_options": tuple(options),
        "passes": algorithm.passes,
        "paper": algorithm.paper,
        "__doc__": algorithm.summary,
        "__module__": __name__,
    }
    return make_dataclass(short, fields, bases=(base,), namespace=namespace, frozen=True)


_GIVEN = {"inputs", "target", "baselines", "additional_forward_args", "feature_mask"}  # what we say ourselves
_UNUSED = {"return_convergence_delta", "return_input_shape", "show_progress", "enable_cross_tensor_attribution", "abs"}
_DEFAULTS: Mapping[str, tuple[Any, Any]] = {
    "perturbations_per_eval": (int, 16),  # coalitions in one batch: captum's 1 is slow, and gives the same
    "sliding_window_shapes": (int, 1),
}


def _options(attribute: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """An algorithm's own options: name -> (type, default), those that can be written as text."""
    options = {}
    for name, parameter in list(inspect.signature(attribute).parameters.items())[1:]:
        if name in _GIVEN | _UNUSED or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if name in _DEFAULTS:
            options[name] = _DEFAULTS[name]
            continue
        kinds = [k for k in get_args(parameter.annotation) or (parameter.annotation,) if k in _SIMPLE]
        if any(kind is not type(None) for kind in kinds):
            options[name] = (reduce(or_, sorted(kinds, key=_SIMPLE.index)), parameter.default)
    return options


_SIMPLE = (int, float, bool, str, type(None))
