"""What `tagxai bench` and `tagxai bench plan` take: options as they are given, and the plan that they make."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tagxai import storage
from tagxai.cli import display
from tagxai.cli.sampling import given_sampling
from tagxai.errors import TagxaiError

if TYPE_CHECKING:
    from tagxai.benchmark.plan import Plan

OUT = Path("tagxai-out", "bench")
WRITTEN = ("run.json", "results.*", "costs.csv", "table.md", "report.html", "*.png", "*.tex", "*.bib", "plan*.toml")
"""The files of results, which no input may be."""

PlanArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[PLAN.toml]", help="What to run. Command-line options override the file's."),
]
SuiteOption = Annotated[
    str | None, typer.Option("--suite", metavar="NAME", help="A plan that comes with tagxai: tiny.")
]
GeneratorsOption = Annotated[
    str | None, typer.Option("--generators", "-g", metavar="NAMES", help="Separated by commas.")
]
MethodsOption = Annotated[
    str | None,
    typer.Option("--methods", "-m", metavar="NAMES", help="Separated by commas, as NAME(key=value); or all."),
]
PromptsOption = Annotated[
    str | None,
    typer.Option("--prompts", "-p", metavar="WHAT", help="A .csv, .tsv or .txt file, or laboratory:test:60."),
]
ColumnOption = Annotated[
    str | None, typer.Option("--column", help="Column of the prompts; default: caption or prompt.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Take only the first prompts of a file.")]
SeedsOption = Annotated[
    str | None,
    typer.Option("--seeds", metavar="NUMBERS", help="Separated by commas; each gives a clip per prompt."),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option("--reference", metavar="METHOD", help="Compare all others with this one; default: the first."),
]
DeviceOption = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, mps or sharded.")]
DtypeOption = Annotated[str | None, typer.Option("--dtype", help="auto, float32, bfloat16, float16 or int8.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads of torch in each process.")]
TimeLimitOption = Annotated[
    float | None,
    typer.Option("--time-limit", metavar="SECONDS", help="Limit for one explanation, and for one metric of it."),
]
ExecutorOption = Annotated[str | None, typer.Option("--executor", help="local, processes or ray; default: local.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Processes; default: one per CPU.")]
ByOption = Annotated[
    str | None,
    typer.Option("--by", metavar="COLUMN", help="Also a table for each value of this column of the prompts' file."),
]

WHAT = ("plan", "suite", "generators", "methods", "metrics", "prompts")
"""The parameters that say what to run."""
KEYS = (
    *("methods", "metrics", "prompts", "duration", "reference", "device", "dtype", "threads", "time_limit"),
    *("executor", "workers"),
)
"""The parameters that are keys of a plan."""


class Asked(NamedTuple):
    """A checked plan, and where it is to be run."""

    plan: Plan
    executor: str
    workers: int | None


def says_nothing(context: typer.Context) -> bool:
    """Whether a command was called without a word about what to run."""
    return all(context.params[name] is None for name in WHAT)


def read(context: typer.Context, out: Path | None = None) -> Asked:
    """The plan that the options of a command make; `out` is where results will be written. Raises TagxaiError."""
    from tagxai.benchmark import entry_syntax, plan_options

    given = context.params
    plan, prompts = given["plan"], given["prompts"]
    if given["suite"] is not None:
        if plan is not None:
            raise TagxaiError(f"give --suite {given['suite']} or the plan {str(plan)!r}, not both")
        plan = plan_options.find_suite(given["suite"])
    content = plan_options.read_options(plan) if plan is not None else {}
    if given["methods"] not in (None, entry_syntax.ALL):
        content.pop("reference", None)  # that of the plan is one of its own methods
    own = {name: given[name] for name in KEYS}
    own["generators"] = given["generators"] and entry_syntax.split(given["generators"])
    own["seeds"] = given["seeds"] and _numbers(given["seeds"])
    content |= {key: value for key, value in own.items() if value is not None}
    if isinstance(table := content.get("sampling", {}), dict):  # else the plan's own check refuses it
        content["sampling"] = {**table, **given_sampling(context)}
    if given["column"] is not None or given["limit"] is not None:
        if prompts is None:
            raise TagxaiError("--column and --limit only apply with --prompts FILE")
        content["prompts"] = {"file": prompts, "column": given["column"], "limit": given["limit"]}
    folder = plan.parent if plan is not None and prompts is None else Path()
    if out is not None:
        storage.input_files(out, WRITTEN, _inputs(plan, content, folder))
    written = plan_options.PlanOptions(**content)
    with warnings.catch_warnings(record=True) as noted:
        asked = Asked(written.make(folder=folder), written.executor, written.workers)
    for warning in noted:
        display.note(str(warning.message))
    return asked


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
