"""What a benchmark runs: generators x methods x metrics x prompts x seeds, from options or one TOML file."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from tagxai.benchmark import controls, executors
from tagxai.benchmark.prompts import find_prompts
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.registry import BUILT_IN, registry

ALL = "all"
MOST = {"threads": 4096, "workers": 4096, "time_limit": 1e9}
DEFAULT_PROMPTS = "laboratory:test:60"
DEFAULT_METHODS = ("audiogenx", "cross_attention", "input_x_gradient", "occlusion")


@dataclass(frozen=True)
class Part:
    """A method or metric with all its settings; `label` tells it from others in tables.

    `origin` is the plugin that it came from, with its version. The last three are a metric's: it may be a costly one,
    for the first `prompts` only.
    """

    name: str
    label: str
    origin: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    family: str = ""
    higher_is_better: bool = True
    prompts: int | None = None

    @property
    def is_control(self) -> bool:
        return self.origin == controls.ORIGIN

    @property
    def identity(self) -> dict[str, Any]:
        """All of it that decides a result."""
        return {"name": self.name, "origin": self.origin, "settings": dict(self.settings)}

    def method(self) -> Method:
        cls = controls.CONTROLS[self.name] if self.is_control else registry().method(self.name)
        return cls.configure(self.settings)

    def metric(self) -> Metric:
        return registry().metric(self.name).configure(self.settings)


@dataclass(frozen=True)
class Plan:
    """What is run. `reference` is the label of the method that all others are compared with."""

    generators: tuple[str, ...]
    methods: tuple[Part, ...]
    metrics: tuple[Part, ...]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    duration: float | None = None
    sampling: Mapping[str, float | None] = field(default_factory=dict)
    reference: str = ""
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    time_limit: float | None = None

    def metrics_of(self, prompt: str) -> tuple[Part, ...]:
        """All but those that are for fewer prompts."""
        number = self.prompts.index(prompt)
        return tuple(part for part in self.metrics if part.prompts is None or number < part.prompts)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content.items()
        }
        for key in ("methods", "metrics"):
            values[key] = tuple(Part(**{**part, "needs": tuple(part["needs"])}) for part in content[key])
        return cls(**values)


@dataclass(frozen=True)
class Options:
    """A plan as it is written: names as text, of which `make` makes sure. The fields are the keys of a TOML file.

    `executor` and `workers` say where it is run, which decides no result: they are no part of the plan.
    """

    generators: Sequence[str] = ("tiny",)
    methods: str | Sequence[str | Mapping[str, Any]] = DEFAULT_METHODS
    metrics: str | Sequence[str | Mapping[str, Any]] = ALL
    prompts: str | Sequence[str] | Mapping[str, Any] = DEFAULT_PROMPTS
    seeds: Sequence[int] = (0,)
    duration: float | None = None
    guidance_scale: float | None = None
    top_k: int | None = None
    temperature: float | None = None
    reference: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    time_limit: float | None = None
    executor: str = "local"
    workers: int | None = None

    def make(self, *, folder: Path = Path()) -> Plan:
        """The plan; files of prompts are looked for from `folder`. Raises TagxaiError."""
        self._check()
        for spec in self.generators:
            registry().generator(spec.partition(":")[0])
        methods = _parts("method", self.methods, [n for n in registry().methods if n != "random"])
        for part in methods:
            if part.label in controls.CONTROLS:
                raise TagxaiError(f"{part.label!r} is a control, which every table has: leave it out, or label it anew")
        reference = self.reference or methods[0].label
        labels = [part.label for part in (*methods, *controls.parts(Part))]
        if reference not in labels:
            raise UnknownNameError("method of this benchmark, for reference,", reference, labels)
        return Plan(
            tuple(dict.fromkeys(self.generators)),
            (*controls.parts(Part), *methods),
            parse_metrics(self.metrics),
            tuple(find_prompts(self.prompts, folder)),
            tuple(dict.fromkeys(self.seeds)),
            self.duration,
            {"guidance_scale": self.guidance_scale, "top_k": self.top_k, "temperature": self.temperature},
            reference,
            self.device,
            self.dtype,
            self.threads,
            self.time_limit,
        )

    def _check(self) -> None:
        for name in ("generators", "seeds"):
            values = getattr(self, name)
            kind = str if name == "generators" else int
            if not _is_list(values) or not values or not all(type(value) is kind for value in values):
                raise TagxaiError(
                    f"{name} takes a list of {'names' if kind is str else 'whole numbers'}, not {values!r}"
                )
        if any(not 0 <= seed < 2**32 for seed in self.seeds):
            raise TagxaiError(f"seeds are from 0 to {2**32 - 1}, not {', '.join(map(str, self.seeds))}")
        for name in ("duration", "time_limit", "guidance_scale", "top_k", "temperature", "threads", "workers"):
            value = getattr(self, name)
            if value is None:
                continue
            whole = name in ("top_k", "threads", "workers")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise TagxaiError(f"{name} takes a {'whole ' if whole else ''}number, not {value!r}")
            least = {"guidance_scale": -math.inf, "top_k": 0, "temperature": 0, "threads": 1, "workers": 1}.get(name)
            try:
                number = float(value)
            except OverflowError:
                raise TagxaiError(f"{name} has a number of more than 300 digits") from None
            if number > MOST.get(name, math.inf):
                raise TagxaiError(f"{name} takes at most {MOST[name]:g}, not {number:g}")
            if not math.isfinite(number) or (number <= 0 if least is None else number < least):
                raise TagxaiError(
                    f"{name} takes {'more than 0' if least is None else f'at least {least}'}, not {number:g}"
                )
        if self.reference is not None and not isinstance(self.reference, str):
            raise TagxaiError(f"reference takes the name of a method, not {self.reference!r}")
        for name, choices in (
            ("device", ("auto", "cpu", "cuda", "mps", "sharded")),
            ("dtype", ("auto", "float32", "bfloat16", "float16")),
            ("executor", get_args(executors.Name)),
        ):
            if getattr(self, name) not in choices:
                raise UnknownNameError(name, str(getattr(self, name)), choices)


def read_options(path: Path) -> dict[str, Any]:
    """The keys and values of a TOML file. Raises TagxaiError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TagxaiError(f"there is no plan {str(path)!r}; give a TOML file") from None
    except ValueError as error:  # of TOML, of UTF-8, or of a number of thousands of digits
        raise TagxaiError(f"{path} is not TOML: {error}") from None
    known = [each.name for each in fields(Options)]
    for key in content:
        if key not in known:
            raise UnknownNameError(f"key of a plan (in {path})", key, known)
    return content


def find_suite(name: str) -> Path:
    """The file of a plan that comes with tagxai. Raises UnknownNameError."""
    files = {path.stem: path for path in Path(__file__).with_name("suites").glob("*.toml")}
    if name not in files:
        raise UnknownNameError("suite", name, files)
    return files[name]


def make_plan(content: Mapping[str, Any], *, folder: Path = Path()) -> Plan:
    """A plan from the keys of `Options`, such as `read_options` gives."""
    return Options(**content).make(folder=folder)


def parse_metrics(given: str | Sequence[Any]) -> tuple[Part, ...]:
    return _parts("metric", given, list(registry().metrics))


def _parts(kind: str, given: Any, everything: Sequence[str]) -> tuple[Part, ...]:
    """The methods or metrics that `given` names: "all", names with commas, or a list of texts and tables."""
    entries = split(given) if isinstance(given, str) else given
    if not _is_list(entries) or not entries:
        raise TagxaiError(f"{kind}s takes a list of names, or 'all', not {given!r}")
    parts = [
        part
        for entry in entries
        for part in (
            [_part(kind, {"name": name}) for name in everything] if entry == ALL else [_part(kind, _table(kind, entry))]
        )
    ]
    labels = [part.label for part in parts]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise TagxaiError(f"{kind}s name {twice!r} twice; give it once, or each a label of its own")
    for number, part in enumerate(parts):  # their cells are the same
        same = next((other.label for other in parts[:number] if other.identity == part.identity), None)
        if same is not None:
            raise TagxaiError(f"{kind}s {same!r} and {part.label!r} have the same settings; give one of them")
    return tuple(parts)


def split(text: str) -> list[str]:
    """Names at the commas outside of brackets.

    >>> split("audiogenx(epochs=20, seed=1), shapley")
    ['audiogenx(epochs=20, seed=1)', 'shapley']
    """
    return [name.strip() for name in re.split(r",(?![^(]*\))", text)]


def _table(kind: str, entry: Any) -> dict[str, Any]:
    """`name(key=value)` or a table as a dictionary with the keys name and perhaps label, and the settings."""
    if isinstance(entry, Mapping):
        if not isinstance(entry.get("name"), str):
            raise TagxaiError(f"a table of a {kind} needs a name, such as {{name = 'NAME'}}, not {dict(entry)!r}")
        return dict(entry)
    match = re.fullmatch(r"([^()=]+)(?:\((.*)\))?", entry.strip()) if isinstance(entry, str) else None
    if match is None:
        raise TagxaiError(f"a {kind} is NAME or NAME(key=value, ...), not {entry!r}")
    table: dict[str, Any] = {"name": match[1].strip()}
    for pair in filter(None, (pair.strip() for pair in (match[2] or "").split(","))):
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not (key and sign and value):
            raise TagxaiError(f"settings in {entry!r} are key=value, not {pair!r}")
        table[key] = value
    return table


def _part(kind: str, table: Mapping[str, Any]) -> Part:
    name, reserved = table["name"], ("name", "label", *(("prompts",) if kind == "metric" else ()))
    settings = {
        key: value if isinstance(value, Mapping) else str(value) for key, value in table.items() if key not in reserved
    }
    told = ", ".join(f"{key}={value}" for key, value in settings.items())
    label = str(table.get("label") or (f"{name}({told})" if told else name))
    known = registry()
    if kind == "metric":
        metric = known.metric(name).configure(settings)
        origin = known.metrics[name].origin
        needs = tuple(sorted(metric.needs))
        of = (metric.family, metric.higher_is_better, _first_prompts(name, table))
        return Part(name, label, origin, metric.settings(), needs, *of)
    method = known.method(name).configure(settings)
    origin = known.methods[name].origin if name in known.methods else BUILT_IN
    return Part(name, label, origin, method.settings(), tuple(sorted(method.needs)))


def _first_prompts(metric: str, table: Mapping[str, Any]) -> int | None:
    """How many prompts a metric is for; None for all."""
    given = table.get("prompts")
    if given is None:
        return None
    if isinstance(given, bool) or not str(given).isdecimal() or int(given) < 1:
        raise TagxaiError(f"prompts of metric {metric!r} takes a whole number from 1, not {given!r}")
    return int(given)


def _is_list(values: Any) -> bool:
    return isinstance(values, (list, tuple))
