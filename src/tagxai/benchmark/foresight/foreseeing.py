"""What a run will do, in numbers and in sentences: from its plan alone, and with a trial also its time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tagxai.benchmark import cells
from tagxai.benchmark.executors import Executor
from tagxai.benchmark.foresight.forecast import Forecast, forecast, in_words
from tagxai.benchmark.foresight.prompts_needed import number, prompts_needed, what_they_allow
from tagxai.benchmark.foresight.trial import Trial, TrialTask, kinds_of, try_out
from tagxai.benchmark.models import ModelSpec
from tagxai.benchmark.plan import Plan
from tagxai.benchmark.planned_run import PlannedRun
from tagxai.benchmark.running import Opened, opened

TRIAL_SECONDS = 30.0
"""What a trial may take."""


@dataclass(frozen=True)
class Coverage:
    """The prompts about whose clips a generator can know the truth."""

    generator: str
    known: int
    prompts: int

    def sentence(self, needed: int) -> str:
        """The coverage in words, and whether comparisons by the truth have the prompts that they need."""
        known = f"{self.generator}: the truth can be known for {self.known:,} of {self.prompts:,} prompts"
        return known if self.known >= needed else f"{known}: too few to compare methods by it, {needed} are needed"


@dataclass(frozen=True)
class Foresight:
    """A run before it begins. `cells` are all that can be computed, of which `kept` are in the folder already.

    `pairs` are those of the methods that can be compared on one generator, on that with the most of them. `refused` is
    why methods did not apply to the clips of the trial, which they could not tell before.
    """

    plan: Plan
    clips: int
    cells: int
    kept: int
    inapplicable: int
    unsupported: Sequence[str]
    coverage: Sequence[Coverage]
    pairs: int
    forecast: Forecast | None = None
    refused: Sequence[str] = ()

    def sentences(self) -> list[str]:
        """What a person should know before it starts, a line each."""
        plan, methods = self.plan, [method for method in self.plan.methods if not method.is_control]
        controls = len(plan.methods) - len(methods)
        lines = [
            f"{number(len(plan.prompts), 'prompt')} x {number(len(plan.seeds), 'seed')} x "
            f"{number(len(plan.generators), 'generator')} = {number(self.clips, 'clip')}; "
            f"{number(len(methods), 'method')} and {controls} controls x {number(len(plan.metrics), 'metric')}: "
            f"{number(self.cells, 'cell')}" + (f", {self.kept:,} of them finished" if self.kept else "")
        ]
        if self.inapplicable:
            lines.append(f"{self.inapplicable:,} more cells are not applicable:")
            lines += [f"  {sentence}" for sentence in self.unsupported]
        lines += [each.sentence(prompts_needed(self.pairs) if self.pairs else 0) for each in self.coverage]
        lines += what_they_allow(len(plan.prompts), self.pairs)
        if self.refused:
            lines += ["on the clips of the trial:", *(f"  {sentence}" for sentence in self.refused)]
        return lines + ([] if self.forecast is None else costs(self.forecast))


def costs(cost: Forecast) -> list[str]:
    """The time and memory of a run in sentences."""
    least = "" if cost.complete else "at least "
    measuring = max(0.0, 1 - cost.generating - cost.explaining)
    lines = [
        f"time: {least}about {in_words(cost.seconds)} ({cost.generating:.0%} generating, {cost.explaining:.0%} "
        f"explaining, {measuring:.0%} measuring)"
    ]
    if cost.memory:
        lines.append(f"memory: {cost.memory / 1e9:.1f} GB for each process, by the trial")
    return lines


def before_running(run: Opened) -> Foresight:
    """What the plan says by itself: nothing is computed."""
    planned = run.planned
    everything = [(clip, method, metric) for clip, method, metric, why in planned.all_cells() if why is None]
    kept = sum(run.store.is_done(clip.cell(method, metric)) for clip, method, metric in everything)
    plan = planned.plan
    named = [(label, entry) for label in plan.generators for entry in (*plan.methods, *plan.metrics)]
    why = [planned.unsupported(label, entry) for label, entry in named]
    methods = tuple(entry for entry in plan.methods if not entry.is_control)
    comparable = max(len(planned.supported(label, methods)) for label in plan.generators)
    return Foresight(
        plan=plan,
        clips=len(plan.generators) * len(plan.prompts) * len(plan.seeds),
        cells=len(everything),
        kept=kept,
        inapplicable=sum(reason is not None for *_, reason in planned.all_cells()),
        unsupported=[sentence for sentence in why if sentence],
        coverage=_coverage(planned, run.pool),
        pairs=comparable * (comparable - 1) // 2,
    )


def tried(run: Opened, seconds: float = TRIAL_SECONDS) -> Foresight:
    """With the time and memory of what is left, by a trial whose cells stay in the run's folder."""
    foresight = before_running(run)
    kinds, start = kinds_of(run.jobs()), run.start_seconds
    trial = _try(run.pool, kinds, seconds)
    cost = forecast(run.jobs(), kinds, trial, workers=run.pool.workers, start_seconds=start, fresh=False)
    return replace(foresight, forecast=cost, refused=_refused(run.planned.plan, trial))


def foresee(
    plan: Plan, *, executor: str = "local", workers: int | None = None, seconds: float = TRIAL_SECONDS
) -> Foresight:
    """What a new run of the plan would do: a trial of which nothing stays. Raises TagxaiError."""
    with TemporaryDirectory() as folder, opened(plan, Path(folder), executor=executor, workers=workers) as run:
        foresight, jobs = before_running(run), run.jobs()
        kinds = kinds_of(jobs)
        trial = _try(run.pool, kinds, seconds)
        cost = forecast(jobs, kinds, trial, workers=run.pool.workers, start_seconds=run.start_seconds)
    return replace(foresight, forecast=cost, refused=_refused(plan, trial))


def _refused(plan: Plan, trial: Trial) -> list[str]:
    """Why methods of the plan did not apply; controls are left out, as of them only the truth is unknown."""
    controls = {method.label for method in plan.methods if method.is_control}
    why = (sentence for tried in trial.tried for name, sentence in tried.refused.items() if name not in controls)
    return list(dict.fromkeys(why))


def _try(pool: Executor, kinds: Sequence[cells.Job], seconds: float) -> Trial:
    if not kinds:
        return Trial((), 0)
    ((_, found),) = pool.map(try_out, [TrialTask(tuple(kinds), seconds)])
    if isinstance(found, Exception):
        raise found
    return found


@dataclass(frozen=True)
class _CoverageTask:
    model: ModelSpec
    prompts: tuple[str, ...]


def _coverage(planned: PlannedRun, pool: Executor) -> list[Coverage]:
    """How many prompts have a truth; nothing where no metric asks for it."""
    plan = planned.plan
    if not any("truth" in metric.needs for metric in plan.metrics):
        return []
    asking = [label for label in plan.generators if "truth" in planned.generators[label]["offers"]]
    tasks = [_CoverageTask(ModelSpec(each, plan.device, plan.dtype, plan.threads), plan.prompts) for each in asking]
    known = {task.model.spec: found for task, found in pool.map(_known, tasks)}
    return [
        Coverage(label, found, len(plan.prompts))
        for label in plan.generators
        if isinstance(found := known.get(label, 0), int)
    ]


def _known(task: _CoverageTask) -> int:
    generator = task.model.load()
    return sum(generator.knows_truth_of(prompt) for prompt in task.prompts)
