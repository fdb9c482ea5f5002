"""The check of an installed plugin: its package, its classes, and a run of the main path with each of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tagxai.authoring.installed import IN_USE, InstalledPlugin, find_plugin
from tagxai.authoring.listening import check_classifier
from tagxai.authoring.report import Finding, Findings
from tagxai.contract.field_docs import field_docs
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.errors import TagxaiError
from tagxai.registering.registry import Registry, registry

PROMPT = "a dog barks while rain falls"
DURATION = 0.6
"""Seconds of the clip that is explained: as short as those of the contract's checks."""
UNSTATED = Method.expense


def check_package(
    package: str,
    source: str | None = None,
    settings: Mapping[str, Any] | None = None,
    on_finding: Callable[[Finding], None] = lambda finding: None,
) -> Findings:
    """Check everything that a plugin registers. `source` is what its generators load; `settings` are its methods'.

    Raises TagxaiError only where there is no such plugin; what the plugin does wrong is a finding.
    """
    plugin = find_plugin(package)
    findings, known = Findings(on_finding), registry()
    _check_import(plugin, findings)
    good = bool(plugin.brings) and plugin.state == IN_USE
    findings.expect(plugin.name, "hooks", good, ", ".join(plugin.brings), plugin.state)
    for kind, entries in (
        *(("method", known.methods), ("metric", known.metrics), ("generator", known.generators)),
        *(("classifier", known.classifiers), ("prompt set", known.prompt_sets)),
    ):
        for entry in entries.values():
            if entry.origin == plugin.origin:
                _CHECKS[kind](findings, f"{kind} {entry.name}", entry.name, known, source, dict(settings or {}))
    return findings


def _check_import(plugin: InstalledPlugin, findings: Findings) -> None:
    """Every module of an entry point can be imported, in a fresh interpreter, and does not load torch."""
    for module in plugin.modules:
        code = f"import sys, {module}; sys.exit(3 if 'torch' in sys.modules else 0)"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        last = (run.stderr.strip().splitlines() or [""])[-1]
        findings.expect(plugin.name, "import", run.returncode in (0, 3), f"{module} can be imported", last)
        if run.returncode in (0, 3):
            slow = f"importing {module} loads torch, for which `tagxai list` has to wait: use tagxai.lazy.torch"
            findings.expect(plugin.name, "light import", run.returncode == 0, "without torch", slow, needed=False)


def _check_method(
    findings: Findings, subject: str, name: str, known: Registry, source: str | None, settings: dict[str, Any]
) -> None:
    cls = known.method(name)
    _check_described(findings, subject, cls)
    module = sys.modules[cls.__module__].__doc__ or ""
    paper = getattr(cls, "paper", "") or f"{cls.__doc__} {module}"
    cites = bool(re.search(r"\b(19|20)\d\d\b", paper))
    findings.expect(subject, "paper", cites, "cited", "no docstring names a paper with its year", needed=False)
    _check_cost(findings, subject, cls)
    own = {option: value for option, value in settings.items() if option in _options(cls)}
    made: list[Method] = []
    if not findings.run(subject, "settings", lambda: made.append(cls.configure(own)) or _listed(own)):  # type: ignore[func-returns-value]
        return
    _run_contract(findings, subject, made[0])
    findings.run(subject, "explain", lambda: _explain(made[0]))
    written = f"{name}({', '.join(f'{option}={value}' for option, value in own.items())})" if own else name
    findings.run(subject, "bench", lambda: _bench(methods=[written]))


def _check_metric(
    findings: Findings, subject: str, name: str, known: Registry, source: str | None, settings: dict[str, Any]
) -> None:
    cls = known.metric(name)
    _check_described(findings, subject, cls)
    _check_cost(findings, subject, cls)
    made: list[Metric] = []
    if not findings.run(subject, "settings", lambda: made.append(cls()) or "the defaults"):  # type: ignore[func-returns-value]
        return
    _run_contract(findings, subject, made[0])
    findings.run(subject, "bench", lambda: _bench(metrics=[name]))


def _check_generator(
    findings: Findings, subject: str, name: str, known: Registry, source: str | None, settings: dict[str, Any]
) -> None:
    from tagxai.testing import check_generator

    cls = known.generator(name)
    _check_described(findings, subject, cls)
    made: list[Generator] = []
    where = "its default" if source is None else source
    if not findings.run(subject, "load", lambda: made.append(cls.load(source)) or f"from {where}"):  # type: ignore[func-returns-value]
        return
    findings.run(subject, "contract", lambda: check_generator(made[0]) or "check_generator passed")  # type: ignore[func-returns-value]
    findings.run(subject, "explain", lambda: _explain(known.method("shapley")(), made[0]))
    spec = name if source is None else f"{name}:{source}"
    findings.run(subject, "bench", lambda: _bench(generators=[spec]))


def _check_classifier(
    findings: Findings, subject: str, name: str, known: Registry, source: str | None, settings: dict[str, Any]
) -> None:
    _check_described(findings, subject, known.classifiers[name].cls)
    findings.run(subject, "contract", lambda: check_classifier(known.classifiers[name].cls.load(source)))


def _check_prompt_set(
    findings: Findings, subject: str, name: str, known: Registry, source: str | None, settings: dict[str, Any]
) -> None:
    from tagxai.benchmark.prompts import find_prompts

    _check_described(findings, subject, known.prompt_sets[name].cls)
    written = f"{name}:{source}" if source else name
    findings.run(subject, "prompts", lambda: f"{written}: {len(find_prompts(written))} prompts")


_CHECKS: dict[str, Callable[..., None]] = {
    "classifier": _check_classifier,
    "prompt set": _check_prompt_set,
    "method": _check_method,
    "metric": _check_metric,
    "generator": _check_generator,
}


def _check_described(findings: Findings, subject: str, cls: Any) -> None:
    """A first line that lists can show, and a text below each option."""
    first = (vars(cls).get("__doc__") or "").strip().partition("\n")[0]
    good = bool(first) and first.endswith(".") and len(first) <= 120 and not first.startswith(f"{cls.__name__}(")
    wanted = f"the first line of the docstring is a sentence of at most 120 characters, not {first!r:.60}"
    findings.expect(subject, "docstring", good, first, wanted)
    if is_dataclass(cls) and fields(cls):
        silent = [field.name for field in fields(cls) if not field_docs(cls).get(field.name)]
        text = f"no string below the field of {', '.join(silent)}, which `tagxai methods NAME` would show"
        findings.expect(subject, "options", not silent, f"{len(fields(cls))} described", text, needed=False)


def _check_cost(findings: Findings, subject: str, cls: Any) -> None:
    missing = "`expense` does not say how many passes it takes"
    findings.expect(subject, "cost", cls.expense != UNSTATED, cls.expense, missing, needed=False)


def _run_contract(findings: Findings, subject: str, made: Method | Metric) -> None:
    from tagxai.testing import check_method, check_metric

    def run() -> str:
        check_method(made) if isinstance(made, Method) else check_metric(made)
        return f"{'check_method' if isinstance(made, Method) else 'check_metric'} passed"

    findings.run(subject, "contract", run)


def _explain(method: Method, generator: Generator | None = None) -> str:
    """Explain a short clip, of the embedded model by default, and save and load the folder."""
    from tagxai.contract.attribution import Attribution
    from tagxai.explaining.explain import explain

    duration = DURATION if generator is None else min(DURATION, generator.max_duration)
    found = explain(PROMPT, method=method, generator=generator or "tiny", duration=duration)
    with TemporaryDirectory() as folder:
        loaded = Attribution.load(found.save(folder))
    best = max(loaded.per_word(), key=lambda score: score.score)
    return f"{PROMPT!r}: most on {best.text!r}"


def _bench(**chosen: list[str]) -> str:
    """Benchmark what is given on one prompt, with cheap partners for the rest. Raises TagxaiError for a failed cell."""
    from tagxai.benchmark.plan_options import make_plan
    from tagxai.benchmark.results import load
    from tagxai.benchmark.running import run

    partners = {"generators": ["tiny"], "methods": ["occlusion"], "metrics": ["mask_size", "gini"]}
    plan = make_plan({**partners, **chosen, "prompts": [PROMPT], "duration": DURATION, "device": "cpu"})
    with TemporaryDirectory() as folder:
        run(plan, Path(folder) / "bench")
        results = load(Path(folder) / "bench")
    if results.failures:
        method, error, _ = results.failures[0]
        raise TagxaiError(f"{method}: {error}")
    return f"{len(results.cells)} cells, none failed"


def _options(cls: Any) -> set[str]:
    return {field.name for field in fields(cls)} if is_dataclass(cls) else set()


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "the defaults"
