"""`tagxai bench` and `tagxai evaluate`: methods measured alike, over many prompts, in runs that can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from tagxai import storage
from tagxai.cli import display, options
from tagxai.errors import TagxaiError

if TYPE_CHECKING:
    from tagxai.benchmark.results import Results
    from tagxai.benchmark.running import Status

OUT = Path("tagxai-out", "bench")
LOG_EVERY = 15.0
"""Seconds between lines of progress where nobody watches a bar."""

ReferenceOption = Annotated[
    str | None, typer.Option("--reference", metavar="METHOD", help="Compare all others with it; default: the first.")
]
MetricsOption = Annotated[str | None, typer.Option("--metrics", metavar="NAMES", help="With commas, or all (default).")]


class Bench(TyperGroup):
    """A group whose first argument may be a plan: what is no subcommand goes to `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    bench = typer.Typer(cls=Bench, help="Measure methods alike: over many prompts, with controls and intervals.")
    bench.command(
        "run",
        epilog="Examples: [bold]tagxai bench --methods audiogenx,shapley --prompts laboratory:test:20[/]\n\n"
        "[bold]tagxai bench --suite tiny --methods all --out results[/]\n\n"
        "[bold]tagxai bench --prompts captions.csv --limit 50 --executor processes --workers 2[/]\n\n"
        "The same command again goes on where it was interrupted.",
    )(run)
    bench.command(epilog="Example: [bold]tagxai bench show results[/]")(show)
    bench.command(epilog="Example: [bold]tagxai bench merge machine-a machine-b --out both[/]")(merge)
    app.add_typer(bench, name="bench")
    app.command(epilog="Example: [bold]tagxai evaluate tagxai-out/a-siren-audiogenx-0 --metrics mask_size[/]")(evaluate)


def run(
    plan: Annotated[
        Path | None, typer.Argument(metavar="[PLAN.toml]", help="What to run; options go before it.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="A plan that comes with tagxai: tiny.")
    ] = None,
    generators: Annotated[str | None, typer.Option("--generators", "-g", metavar="NAMES", help="With commas.")] = None,
    methods: Annotated[
        str | None, typer.Option("--methods", "-m", metavar="NAMES", help="With commas, as NAME(key=value); or all.")
    ] = None,
    metrics: MetricsOption = None,
    prompts: Annotated[
        str | None,
        typer.Option("--prompts", "-p", metavar="WHAT", help="A .csv, .tsv or .txt file, or laboratory:test:60."),
    ] = None,
    column: Annotated[str | None, typer.Option("--column", help="Of the prompts in a table, if not caption.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Take only the first prompts of a file.")] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="NUMBERS", help="With commas: clips a prompt.")
    ] = None,
    duration: options.DurationOption = None,
    guidance_scale: options.GuidanceOption = None,
    top_k: options.TopKOption = None,
    temperature: options.TemperatureOption = None,
    reference: ReferenceOption = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, mps or sharded.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch, in each process.")] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", metavar="SECONDS", help="For one explanation or one metric of it.")
    ] = None,
    executor: Annotated[str | None, typer.Option("--executor", help="local, processes or ray; default: local.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a CPU.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute cells again that failed.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where results are kept.")] = OUT,
) -> None:
    """Run a benchmark, or go on with one: generators x methods x metrics x prompts x seeds."""
    from tagxai.benchmark import plan as plans
    from tagxai.benchmark.running import run as run_plan

    if suite is not None:
        if plan is not None:
            raise TagxaiError(f"give --suite {suite} or the plan {str(plan)!r}, not both")
        plan = plans.find_suite(suite)
    content = plans.read_options(plan) if plan is not None else {}
    given: dict[str, Any] = {
        "generators": generators and plans.split(generators),
        "methods": methods,
        "metrics": metrics,
        "prompts": prompts,
        "seeds": seeds and _numbers(seeds),
        "duration": duration,
        "guidance_scale": guidance_scale,
        "top_k": top_k,
        "temperature": temperature,
        "reference": reference,
        "device": device,
        "dtype": dtype,
        "threads": threads,
        "time_limit": time_limit,
        "executor": executor,
        "workers": workers,
    }
    if methods not in (None, plans.ALL):
        content.pop("reference", None)  # the plan's is one of its own methods; of others it is the first
    content |= {key: value for key, value in given.items() if value is not None}
    if column is not None or limit is not None:
        if prompts is None:
            raise TagxaiError("--column and --limit go with --prompts FILE")
        content["prompts"] = {"file": prompts, "column": column, "limit": limit}
    folder = plan.parent if plan is not None and prompts is None else Path()
    written = plans.Options(**content)
    made = written.make(folder=folder)
    with _progress() as tell:
        try:
            run_plan(
                made,
                out,
                executor=written.executor,
                workers=written.workers,
                retry_failed=retry_failed,
                on_status=tell,
            )
        except KeyboardInterrupt:
            display.note(f"what is done is kept in {out}: the same command goes on from there")
            raise
    found = _finish(out, None)
    controls = {part.label for part in found.methods if part.is_control}
    errors = [row.error for row in found.rows if row.method not in controls]
    if errors and all(error is not None for error in errors):
        display.complain(f"all {len(errors)} cells of the methods failed, the first because {errors[0]}")
        raise typer.Exit(1)


def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a benchmark, finished or not.")],
    reference: ReferenceOption = None,
) -> None:
    """Print the tables of a benchmark, and write its files again."""
    _finish(folder, reference)


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Of benchmarks.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where all of them go.")],
) -> None:
    """Join the results of several runs."""
    from tagxai.benchmark.merging import merge as join

    join(folders, out)
    _finish(out, None)


def evaluate(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Written by [bold]tagxai explain[/].")],
    metrics: MetricsOption = None,
    generator: Annotated[
        str | None, typer.Option("--generator", "-g", metavar="NAME[:SOURCE]", help="If the model has moved.")
    ] = None,
    device: options.DeviceOption = "auto",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Write tables there too.")] = None,
) -> None:
    """Measure explanations that were made earlier, beside controls on the same clips."""
    from tagxai.benchmark import evaluating, plan, results
    from tagxai.benchmark.store import RUN

    if out is not None and (out / RUN).exists():
        raise TagxaiError(f"{str(out)!r} holds the tables of a benchmark; give another folder")
    parts = plan.parse_metrics(metrics or plan.ALL)
    with storage.new_folder(out) if out is not None else nullcontext() as folder:  # refused before the work
        attributions = evaluating.load_attributions(folders)
        with display.stages() as stage:
            stage("loading the model")
            names = dict.fromkeys(each.generation.generator for each in attributions)
            models = {name: options.load_model(generator or name, device) for name in names}
            found = evaluating.evaluate(attributions, parts, models, on_progress=stage("scoring"))
        _print(found)
        if folder is not None:
            from tagxai.report.benchmark import write_benchmark

            results.write(found, folder)
            write_benchmark(found, folder)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise TagxaiError(
            f"--seeds takes whole numbers with commas between them, such as 0,1,2, not {text!r}"
        ) from None


def _finish(folder: Path, reference: str | None) -> Results:
    from tagxai.benchmark import results
    from tagxai.report.benchmark import write_benchmark

    found = results.load(folder, reference=reference)
    files = [*results.write(found, folder), *write_benchmark(found, folder)]
    _print(found)
    display.out().print(Text("\n" + ", ".join(map(str, files))), soft_wrap=True)
    failed = sum(number for *_, number in found.failures)
    if failed:
        again = "see the cells without a value; --retry-failed computes them again"
        display.out().print(Text(f"{failed} of {len(found.rows)} cells failed: {again}"), soft_wrap=True)
    return found


def _print(found: Results) -> None:
    from tagxai.report.benchmark import tables

    console = display.out()
    for table in tables(found):
        if table.title != "Provenance":
            console.print(Text(f"\n{table.title}", style="bold"))
            if table.text:
                console.print(Text(table.text, style="dim"))
            plain = display.plain_table(*table.header)
            for row in table.rows:
                plain.add_row(*(Text(display.printable(cell)) for cell in row))
            console.print(plain)


@contextmanager
def _progress() -> Iterator[Callable[[Status], None]]:
    """A bar with the time left; in a log, a line now and then."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = display.err()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), MofNCompleteColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("loading the models", total=None)
        started = told = monotonic()

        def tell(status: Status) -> None:
            nonlocal told
            failed = f", {status.failed} failed" if status.failed else ""
            text = display.printable(status.message)[:48]
            bars.update(task, total=status.total, completed=status.done, description=f"cells{failed}  {text}")
            if not console.is_terminal and status.done and monotonic() - told > LOG_EVERY:
                told = monotonic()
                left = (told - started) / status.done * (status.total - status.done)
                display.note(f"{status.done}/{status.total} cells{failed}, about {left:.0f} s left")

        yield tell
