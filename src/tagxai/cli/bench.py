"""`tagxai bench`: methods measured in the same way, over many prompts, in runs that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from tagxai import storage
from tagxai.cli import display, options
from tagxai.cli.benchmark_output import MetricsOption, print_tables
from tagxai.cli.progress import stages
from tagxai.cli.sampling import EPILOG, SamplingCommand, given_sampling
from tagxai.contract.values import Progress
from tagxai.errors import TagxaiError

if TYPE_CHECKING:
    from tagxai.benchmark.results import Results
    from tagxai.benchmark.running import Status

OUT = Path("tagxai-out", "bench")
WRITTEN = ("run.json", "results.*", "costs.csv", "table.md", "report.html", "*.png")
"""The files of results, which no input may be."""

ReferenceOption = Annotated[
    str | None,
    typer.Option("--reference", metavar="METHOD", help="Compare all others with this one; default: the first."),
]


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
    bench.command(epilog="Example: [bold]tagxai bench show results[/]")(show)
    bench.command(epilog="Example: [bold]tagxai bench merge machine-a machine-b --out both[/]")(merge)
    app.add_typer(bench, name="bench")


def run(
    context: typer.Context,
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN.toml]", help="What to run. Command-line options override the file's."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="A plan that comes with tagxai: tiny.")
    ] = None,
    generators: Annotated[
        str | None, typer.Option("--generators", "-g", metavar="NAMES", help="Separated by commas.")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option("--methods", "-m", metavar="NAMES", help="Separated by commas, as NAME(key=value); or all."),
    ] = None,
    metrics: MetricsOption = None,
    prompts: Annotated[
        str | None,
        typer.Option("--prompts", "-p", metavar="WHAT", help="A .csv, .tsv or .txt file, or laboratory:test:60."),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Column of the prompts; default: caption or prompt.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Take only the first prompts of a file.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="NUMBERS", help="Separated by commas; each gives a clip per prompt."),
    ] = None,
    duration: options.DurationOption = None,
    reference: ReferenceOption = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, mps or sharded.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="auto, float32, bfloat16, float16 or int8.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of torch in each process.")] = None,
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", metavar="SECONDS", help="Limit for one explanation, and for one metric of it."),
    ] = None,
    executor: Annotated[str | None, typer.Option("--executor", help="local, processes or ray; default: local.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one per CPU.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute failed cells again.")] = False,
    out: Annotated[Path, options.out_option("The folder of the results.")] = OUT,
    force: options.ForceOption = False,
) -> None:
    """Run or resume a benchmark: generators x methods x metrics x prompts x seeds."""
    from tagxai.benchmark import entry_syntax, plan_options
    from tagxai.benchmark.running import run as run_plan

    if suite is not None:
        if plan is not None:
            raise TagxaiError(f"give --suite {suite} or the plan {str(plan)!r}, not both")
        plan = plan_options.find_suite(suite)
    content = plan_options.read_options(plan) if plan is not None else {}
    given: dict[str, Any] = {
        "generators": generators and entry_syntax.split(generators),
        "methods": methods,
        "metrics": metrics,
        "prompts": prompts,
        "seeds": seeds and _numbers(seeds),
        "duration": duration,
        "reference": reference,
        "device": device,
        "dtype": dtype,
        "threads": threads,
        "time_limit": time_limit,
        "executor": executor,
        "workers": workers,
    }
    if methods not in (None, entry_syntax.ALL):
        content.pop("reference", None)  # that of the plan is one of its own methods
    content |= {key: value for key, value in given.items() if value is not None}
    if isinstance(table := content.get("sampling", {}), dict):  # else the plan's own check refuses it
        content["sampling"] = {**table, **given_sampling(context)}
    if column is not None or limit is not None:
        if prompts is None:
            raise TagxaiError("--column and --limit only apply with --prompts FILE")
        content["prompts"] = {"file": prompts, "column": column, "limit": limit}
    folder = plan.parent if plan is not None and prompts is None else Path()
    storage.input_files(out, WRITTEN, _inputs(plan, content, folder))
    written = plan_options.PlanOptions(**content)
    made = written.make(folder=folder)
    with stages(counted=True) as stage:
        on_progress = stage("loading the models")
        try:
            run_plan(
                made,
                out,
                executor=written.executor,
                workers=written.workers,
                retry_failed=retry_failed,
                force=force,
                on_status=lambda status: on_progress(_progress(status)),
            )
        except KeyboardInterrupt:
            display.note(f"finished cells are kept in {out}: the same command resumes the run")
            raise
    found = _finish(out, None)
    controls = {method.label for method in found.methods if method.is_control}
    errors = [cell.error for cell in found.cells if cell.method not in controls]
    if errors and all(error is not None for error in errors):
        display.complain(f"all {len(errors)} cells of the methods failed, the first because {errors[0]}")
        raise typer.Exit(1)


def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A benchmark's, finished or not.")],
    reference: ReferenceOption = None,
) -> None:
    """Print the tables of a benchmark, and write its result files again."""
    _finish(folder, reference)


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of benchmarks.")],
    out: Annotated[Path, options.out_option("The folder that they are merged into.")],
    force: options.ForceOption = False,
) -> None:
    """Merge the results of several runs."""
    from tagxai.benchmark.merging import merge as join

    join(folders, out, force=force)
    _finish(out, None)


def _inputs(plan: Path | None, content: Mapping[str, Any], folder: Path) -> list[Path]:
    """The files that a run reads."""
    prompts = content.get("prompts")
    named = prompts.get("file") if isinstance(prompts, dict) else prompts
    return [*([plan] if plan is not None else []), *([folder / named] if isinstance(named, str) else [])]


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise TagxaiError(f"--seeds takes whole numbers separated by commas, such as 0,1,2, not {text!r}") from None


def _finish(folder: Path, reference: str | None) -> Results:
    """Print the tables of a folder and write all its result files."""
    from tagxai.benchmark import results
    from tagxai.report.benchmark import write_benchmark

    found = results.load(folder, reference=reference)
    files = write_benchmark(found, folder)
    print_tables(found)
    display.out().print(Text("\n" + ", ".join(map(str, files))), soft_wrap=True)
    failed = sum(number for *_, number in found.failures)
    if failed:
        again = "see the cells without a value; --retry-failed computes them again"
        display.out().print(Text(f"{failed} of {len(found.cells)} cells failed: {again}"), soft_wrap=True)
    return found


def _progress(status: Status) -> Progress:
    failed = f", {status.failed} failed" if status.failed else ""
    return Progress(status.done, status.total, f"cells{failed}: {status.message}")
