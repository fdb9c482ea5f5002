"""A method at work on a clip, or on several: its only way to the model, which counts every pass and keeps the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from time import perf_counter
from typing import Any

from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import Cost, Counter, count, counting
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Generator
from tagxai.contract.request import Replay
from tagxai.contract.scores import Scores, check_scores
from tagxai.contract.state import neutral_state, plain_record
from tagxai.contract.values import Branch, Conditioning, Generation, OnProgress, PrefixState, Progress, StepOutput
from tagxai.lazy import Float, torch


class Run:
    """A method's view of one clip. `model` is the generator, counted; `generation` is the clip.

    Inside `opened` no gradients are recorded (a method that differentiates enables them), whatever the caller's mode.
    """

    def __init__(self, generator: Generator, generation: Generation, on_progress: OnProgress | None) -> None:
        self.model: Generator = _Counted(generator)
        self.generation = plain_record(generation)
        self._original, self._generator, self._on_progress = generation, generator, on_progress
        self._counter, self._seconds = Counter(), 0.0
        self._started: float | None = None  # while it works

    @classmethod
    @contextmanager
    def opened(cls, generator: Generator, generation: Generation, on_progress: OnProgress | None) -> Iterator[Run]:
        """A run at work, in a neutral state of torch and of the model that is put back afterwards."""
        with cls.opened_together(generator, [generation], on_progress) as (run,), run.working():
            yield run

    @classmethod
    @contextmanager
    def opened_together(
        cls, generator: Generator, generations: Sequence[Generation], on_progress: OnProgress | None
    ) -> Iterator[Sequence[Run]]:
        """As `opened`, a run for each clip; each counts what is done in its `working`, and in `together`."""
        with ExitStack() as stack:
            stack.enter_context(neutral_state(generator, frozen=True))
            stack.enter_context(torch.no_grad())
            yield [cls(generator, generation, on_progress) for generation in generations]

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count the passes of the block, and its seconds, as those of this clip."""
        if self._started is not None:  # a block around this one does
            yield
            return
        self._started = perf_counter()
        try:
            with counting(self._counter):
                yield
        finally:
            self._seconds, self._started = self._seconds + perf_counter() - self._started, None

    def count(self, **passes: int) -> None:
        """For work on several clips, which no counter of one clip sees: add to what this one has cost."""
        self._counter.add(**passes)

    @cached_property
    def conditioning(self) -> Conditioning:
        """The clip's prompt, encoded once."""
        return conditioning_of(self._generator, self._original)

    def forward(self, conditioning: Conditioning | None = None, *, branch: Branch = "conditional") -> StepOutput:
        """The clip run again, under its own prompt or other conditionings."""
        return self.model.forward(self.generation, conditioning or self.conditioning, branch=branch)

    def hidden_states(
        self, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> Float[torch.Tensor, "batch positions dim"]:
        """The states that the clip's outcomes are predicted from."""
        return self.model.hidden_states(self.generation, conditioning or self.conditioning, branch=branch)

    def report(self, done: int, total: int, message: str) -> None:
        """Tell the caller how far the work is."""
        if self._on_progress is not None:
            self._on_progress(Progress(done, total, message))

    @property
    def on_progress(self) -> OnProgress | None:
        """The caller's callback, for shared tools that report themselves."""
        return self._on_progress

    def attribution(self, method: str, settings: Mapping[str, Any], found: Scores) -> Attribution:
        """What was found, with settings as used and what it cost."""
        in_half = getattr(self._generator, "dtype", None) == torch.float16
        remedy = " in float16; use --dtype bfloat16 or float32" if in_half else ""
        check_scores(f"method {method!r}", found, self._original, remedy)
        return Attribution(
            self._original,
            self._of_generated(found.values),
            method,
            {**settings, **found.used},
            is_mask=found.is_mask,
            merge=found.merge,
            cost=self.cost(),
            diagnostics=found.diagnostics,
            deviation=None if found.deviation is None else self._of_generated(found.deviation),
        )

    def _of_generated(self, scores: torch.Tensor) -> torch.Tensor:
        """On the CPU; no word made frames that were given."""
        scores = scores.detach().float().cpu()
        return torch.cat([torch.zeros_like(scores[:, : self._original.given]), scores[:, self._original.given :]], 1)

    def cost(self) -> Cost:
        """What has been counted so far."""
        now = 0.0 if self._started is None else perf_counter() - self._started
        counted = dict(vars(self._counter))
        return Cost(self._seconds + now + counted.pop("seconds"), **counted)


@contextmanager
def together(runs: Sequence[Run]) -> Iterator[None]:
    """Share the seconds of the block among the runs; one that is named twice has two shares. A single run is at work in
    it, so that it is counted as ever."""
    if all(run is runs[0] for run in runs):
        with runs[0].working():
            yield
        return
    started = perf_counter()
    try:
        yield
    finally:
        share = (perf_counter() - started) / len(runs)
        for run in runs:
            run._seconds += share


def hidden_states_together(
    runs: Sequence[Run], gates: Sequence[Float[torch.Tensor, "_batch _positions _tokens"]]
) -> list[Float[torch.Tensor, "_batch _positions dim"]]:
    """Hidden states of each run's clip under a batch of gates, all in as few passes as the generator can."""
    replays = []
    for run, gate in zip(runs, gates, strict=True):
        run.count(model_calls=1, forward_passes=len(gate))
        replays.append(Replay(run.generation, run.conditioning.expand(len(gate)), gate))
    return runs[0]._generator.hidden_states_many(replays)


def uncounted(generator: Generator) -> Generator:
    """The generator that a method's `run.model` counts; any other is itself."""
    return generator._inner if type(generator) is _Counted else generator


class _Counted(Generator, guarded=False):
    """A generator whose passes are counted; everything else is the generator's own."""

    _OWN = frozenset(
        {"forward", "hidden_states", "forward_from", "prefix_state", "isolated_states", "_inner", "_noted"}
    )

    def __init__(self, generator: Generator) -> None:
        self._inner = generator

    def __getattribute__(self, name: str) -> Any:
        own = name.startswith("__") or name in _Counted._OWN
        return object.__getattribute__(self, name) if own else getattr(object.__getattribute__(self, "_inner"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_inner":
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)

    @staticmethod
    def _noted(conditioning: Conditioning | None) -> None:
        count(model_calls=1, forward_passes=1 if conditioning is None else len(conditioning))

    def forward(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> StepOutput:
        self._noted(conditioning)
        return self._inner.forward(generation, conditioning, branch=branch)

    def hidden_states(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> Float[torch.Tensor, "batch positions dim"]:
        self._noted(conditioning)
        return self._inner.hidden_states(generation, conditioning, branch=branch)

    def forward_from(
        self, prefix: PrefixState, generation: Generation, conditioning: Conditioning, *, branch: Branch = "conditional"
    ) -> StepOutput:
        self._noted(conditioning)
        return self._inner.forward_from(prefix, generation, conditioning, branch=branch)

    def prefix_state(
        self, generation: Generation, conditioning: Conditioning, positions: int, *, branch: Branch = "conditional"
    ) -> PrefixState:
        self._noted(conditioning)
        return self._inner.prefix_state(generation, conditioning, positions, branch=branch)

    def isolated_states(
        self, generation: Generation, conditioning: Conditioning
    ) -> Float[torch.Tensor, "batch positions dim"]:
        self._noted(conditioning)
        return self._inner.isolated_states(generation, conditioning)

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> Generator:
        raise TypeError("a counted generator is made from one that is loaded")

    # The rest of the contract is reached through `__getattribute__`; these lines only satisfy the abstract class.
    timeline = generate_one = decode = encode_prompt = None  # type: ignore[assignment]
