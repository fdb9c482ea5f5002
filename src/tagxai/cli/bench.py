"""`tagxai bench`: methods measured in the same way, over many prompts, in runs that can be resumed."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from tagxai.cli import bench_options as given
from tagxai.cli import bench_show, display, options
from tagxai.cli.bench_options import OUT
from tagxai.cli.benchmark_output import MetricsOption
from tagxai.cli.progress import stages
from tagxai.cli.sampling import EPILOG, SamplingCommand
from tagxai.contract.values import Progress
from tagxai.errors import TagxaiError

if TYPE_CHECKING:
    from tagxai.benchmark.foresight.foreseeing import Foresight
    from tagxai.benchmark.running import Opened, Status

TRIAL_SECONDS = 10.0
"""What the trial before a run may take; what it computes is part of the run."""

INTRODUCTION = """\
tagxai bench runs generators x methods x metrics x prompts x seeds, and resumes where it stopped.
Nothing was started: say what to run. Everything else has a default: the generator tiny, four methods, all metrics, 60
prompts of the laboratory and the seed 0.

  tagxai bench plan --suite tiny                                    what a run would do, and how long it would take
  tagxai bench --methods audiogenx,shapley --prompts captions.csv   your own captions, in a column caption or prompt
  tagxai bench PLAN.toml --out results                              a plan in a file
  tagxai bench show results --by COLUMN                             the tables of a run, finished or not

tagxai bench run --help lists all options."""


class Bench(TyperGroup):
    """A group whose first argument may be a plan: anything but a subcommand goes to `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    bench = typer.Typer(cls=Bench, help="Compare methods over many prompts, with controls and intervals.")
    bench.command(
        "run",
        cls=SamplingCommand,
        epilog="Examples: [bold]tagxai bench --methods audiogenx,shapley --prompts laboratory:test:20[/]\n\n"
        "[bold]tagxai bench --suite tiny --methods all --out results[/]\n\n"
        "[bold]tagxai bench --prompts captions.csv --limit 50 --executor processes --workers 2[/]\n\n"
        f"The same command resumes a run that was interrupted. {EPILOG}",
    )(run)
    bench.command("plan", cls=SamplingCommand, epilog=f"Example: [bold]tagxai bench plan --suite tiny[/]\n\n{EPILOG}")(
        plan
    )
    bench_show.register(bench)
    app.add_typer(bench, name="bench")


def run(
    context: typer.Context,
    plan: given.PlanArgument = None,
    suite: given.SuiteOption = None,
    generators: given.GeneratorsOption = None,
    methods: given.MethodsOption = None,
    metrics: MetricsOption = None,
    prompts: given.PromptsOption = None,
    column: given.ColumnOption = None,
    limit: given.LimitOption = None,
    seeds: given.SeedsOption = None,
    duration: options.DurationOption = None,
    reference: given.ReferenceOption = None,
    device: given.DeviceOption = None,
    dtype: given.DtypeOption = None,
    threads: given.ThreadsOption = None,
    time_limit: given.TimeLimitOption = None,
    executor: given.ExecutorOption = None,
    workers: given.WorkersOption = None,
    by: given.ByOption = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute failed cells again.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Start at once, however long it takes: no trial, no question.")
    ] = False,
    out: Annotated[Path, options.out_option("The folder of the results.")] = OUT,
    force: options.ForceOption = False,
) -> None:
    """Run or resume a benchmark: generators x methods x metrics x prompts x seeds.

    Exit status: 0 if every cell that applies has a value, 1 if some failed, 2 if it could not run.
    """
    from tagxai.benchmark.running import run as run_plan

    if given.says_nothing(context):
        display.out().print(Text(INTRODUCTION), soft_wrap=True)
        return
    asked = given.read(context, out)
    if by is not None:
        bench_show.check_column(by, asked.plan.columns)
    with ExitStack() as loading, ExitStack() as running:
        loading.enter_context(stages())("loading the models")
        bar: list[Any] = []

        def on_open(opened: Opened) -> None:
            loading.close()
            _say_and_ask(opened, out, yes)
            bar.append(running.enter_context(stages(counted=True))("cells"))

        try:
            run_plan(
                asked.plan,
                out,
                executor=asked.executor,
                workers=asked.workers,
                retry_failed=retry_failed,
                force=force,
                on_open=on_open,
                on_status=lambda status: bar[0](_progress(status)),
            )
        except KeyboardInterrupt:
            display.note(f"finished cells are kept in {out}: the same command resumes the run")
            raise
    bench_show.finish(out, by=by)


def plan(
    context: typer.Context,
    plan: given.PlanArgument = None,
    suite: given.SuiteOption = None,
    generators: given.GeneratorsOption = None,
    methods: given.MethodsOption = None,
    metrics: MetricsOption = None,
    prompts: given.PromptsOption = None,
    column: given.ColumnOption = None,
    limit: given.LimitOption = None,
    seeds: given.SeedsOption = None,
    duration: options.DurationOption = None,
    reference: given.ReferenceOption = None,
    device: given.DeviceOption = None,
    dtype: given.DtypeOption = None,
    threads: given.ThreadsOption = None,
    time_limit: given.TimeLimitOption = None,
    executor: given.ExecutorOption = None,
    workers: given.WorkersOption = None,
    trial: Annotated[
        float, typer.Option("--trial", min=1, metavar="SECONDS", help="What the trial of a few clips may take.")
    ] = 30.0,
) -> None:
    """Print what a run would do, and how long it would take by a short trial; nothing is kept."""
    from tagxai.benchmark.foresight.foreseeing import foresee

    asked = given.read(context)
    with stages() as stage:
        stage("trying a few clips")
        found = foresee(asked.plan, executor=asked.executor, workers=asked.workers, seconds=trial)
    for sentence in found.sentences():
        display.out().print(Text(sentence), soft_wrap=True)


def _say_and_ask(opened: Opened, out: Path, yes: bool) -> None:
    """Print what the run will do. Raises TagxaiError where it may take over an hour and nobody agrees to it."""
    from tagxai.benchmark.foresight import foreseeing

    found = foreseeing.before_running(opened)
    _note(found)
    if yes or found.kept == found.cells:
        return
    with stages() as stage:
        stage("trying a few clips")
        cost = foreseeing.tried(opened, TRIAL_SECONDS).forecast
    if cost is None:
        return
    for sentence in foreseeing.costs(cost):
        display.note(sentence)
    if not cost.over_an_hour:
        return
    kept = f"what the trial has computed is kept in {out}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise TagxaiError(f"a run that may take over an hour needs --yes; {kept}")
    if not typer.confirm("Start it?", err=True):
        raise TagxaiError(f"the run was not started; {kept}")


def _note(found: Foresight) -> None:
    for sentence in found.sentences():
        display.note(sentence)


def _progress(status: Status) -> Progress:
    failed = f", {status.failed} failed" if status.failed else ""
    return Progress(status.done, status.total, f"cells{failed}: {status.message}")
