"""A plan as users write it: command-line options and the keys of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from tagxai.benchmark.controls import CONTROLS
from tagxai.benchmark.entry_syntax import ALL, parse_methods, parse_metrics
from tagxai.benchmark.executors import ExecutorName
from tagxai.benchmark.number_checks import check_number, check_seeds
from tagxai.benchmark.plan import Plan
from tagxai.benchmark.plan_entry import control_entries
from tagxai.benchmark.prompt_file import CHANGED
from tagxai.benchmark.prompts import columns_of, planned_prompts
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.explaining.loading import device_named, dtype_named
from tagxai.registering.registry import registry

DEFAULT_PROMPTS = "laboratory:test:60"
DEFAULT_METHODS = ("audiogenx", "cross_attention", "input_x_gradient", "occlusion")


@dataclass(frozen=True)
class PlanOptions:
    """A plan as it is written, which may be anything; `make` checks it. The fields are the keys of a TOML file.

    `executor` and `workers` decide where it runs and no result, so they are not part of the plan.
    """

    generators: Any = ("tiny",)  # a list of names
    methods: Any = DEFAULT_METHODS  # text, or a list of texts and tables: see `entry_syntax`
    metrics: Any = ALL  # likewise
    prompts: Any = DEFAULT_PROMPTS  # text, a list of texts, or a table: see `planned_prompts`
    seeds: Any = (0,)  # a list of whole numbers
    duration: Any = None
    sampling: Any = field(default_factory=dict)  # a table of settings that every generator of the plan declares
    reference: Any = None  # the label of a method
    device: Any = "auto"
    dtype: Any = "auto"
    threads: Any = None
    time_limit: Any = None
    executor: Any = "local"
    workers: Any = None

    def make(self, *, folder: Path = Path()) -> Plan:
        """The plan; files of prompts are looked up from `folder`. Raises TagxaiError."""
        self._check()
        offers = [registry().generator(spec.partition(":")[0]).offers for spec in self.generators]
        methods = parse_methods(self.methods, offers)
        for entry in methods:
            if entry.label in CONTROLS:
                raise TagxaiError(
                    f"{entry.label!r} is a control, which every table has: leave it out, or give it another label"
                )
        methods_and_controls = (*control_entries(), *methods)
        prompts = planned_prompts(self.prompts, folder)
        columns = columns_of(prompts)
        metrics = parse_metrics(self.metrics, pairs=CHANGED in columns)
        reference = self.reference or methods[0].label
        labels = [entry.label for entry in methods_and_controls]
        if reference not in labels:
            raise UnknownNameError("method of this benchmark, for reference,", reference, labels)
        return Plan(
            generators=tuple(dict.fromkeys(self.generators)),
            methods=tuple(entry.with_content() for entry in methods_and_controls),
            metrics=tuple(entry.with_content() for entry in metrics),
            prompts=tuple(prompt.text for prompt in prompts),
            columns=columns,
            seeds=tuple(dict.fromkeys(self.seeds)),
            duration=self.duration,
            sampling=dict(self.sampling),
            reference=reference,
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            time_limit=self.time_limit,
        )

    def _check(self) -> None:
        generators = self.generators
        named = isinstance(generators, (list, tuple)) and all(isinstance(spec, str) for spec in generators)
        if not named or not generators:
            raise TagxaiError(f"generators takes a list of names, not {generators!r}")
        check_seeds(self.seeds)
        if not isinstance(self.sampling, Mapping):
            raise TagxaiError(
                f"sampling takes a table of settings, such as {{guidance_scale = 3}}, not {self.sampling!r}"
            )
        for name, value in self.sampling.items():
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise TagxaiError(f"sampling setting {name} takes a number or text, not {value!r}")
        for name in ("duration", "time_limit", "threads", "workers"):
            check_number(name, getattr(self, name))
        if self.reference is not None and not isinstance(self.reference, str):
            raise TagxaiError(f"reference takes the name of a method, not {self.reference!r}")
        device_named(self.device)
        dtype_named(self.dtype)
        if self.executor not in get_args(ExecutorName):
            raise UnknownNameError("executor", str(self.executor), get_args(ExecutorName))


def read_options(path: Path) -> dict[str, Any]:
    """The keys and values of a TOML file, sampling settings in one table. Raises TagxaiError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TagxaiError(f"no plan at {str(path)!r}; give a TOML file") from None
    except IsADirectoryError:
        raise TagxaiError(f"a plan is a TOML file, such as {str(path / 'plan.toml')!r}, not a folder") from None
    except ValueError as error:  # bad TOML, bad UTF-8, or a number of thousands of digits
        raise TagxaiError(f"{path} is not TOML: {error}") from None
    return _with_sampling(content, f" (in {path})")


def _with_sampling(content: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Numbers under keys that no plan has are sampling settings too, as in plans from before the table `sampling`."""
    known = {each.name for each in fields(PlanOptions)}
    sampling = {}
    for key, value in content.items():
        if key in known:
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or get_close_matches(key, known, n=1, cutoff=0.75):
            raise UnknownNameError(f"key of a plan{where}", key, known)
        sampling[key] = value
    options = {key: value for key, value in content.items() if key in known}
    table = options.get("sampling", {})
    if not sampling or not isinstance(table, Mapping):
        return options
    twice = next((key for key in sampling if key in table), None)
    if twice is not None:
        raise TagxaiError(f"sampling setting {twice!r} is given twice{where}: keep the one in the table `sampling`")
    return options | {"sampling": sampling | dict(table)}


def find_suite(name: str) -> Path:
    """The file of a plan that comes with tagxai. Raises UnknownNameError."""
    files = {path.stem: path for path in Path(__file__).with_name("suites").glob("*.toml")}
    if name not in files:
        raise UnknownNameError("suite", name, files)
    return files[name]


def make_plan(content: Mapping[str, Any], *, folder: Path = Path()) -> Plan:
    """A plan from the keys of `PlanOptions`, such as `read_options` gives."""
    return PlanOptions(**_with_sampling(content)).make(folder=folder)
