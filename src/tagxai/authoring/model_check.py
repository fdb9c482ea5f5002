"""The check of a loaded model on this machine: its contract, its fingerprint, time, memory and one explanation."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from tagxai.authoring.report import Finding, Findings
from tagxai.contract.attribution import installed_versions
from tagxai.contract.generator import Generator
from tagxai.contract.peak import peak_memory
from tagxai.contract.workload import stored_bytes
from tagxai.explaining.default_method import default_method
from tagxai.explaining.estimate import estimate
from tagxai.explaining.explain import explain
from tagxai.explaining.loading import make_method
from tagxai.lazy import torch
from tagxai.testing.golden import PROMPT, differences, fingerprint

EXACT, HALF = 1e-3, 5e-2
"""Tolerances of the contract: where numbers have 32 bits, and where they have 16."""


@dataclass(frozen=True)
class ModelCheck:
    """What was found about a model. `facts` are lines of a table; `fingerprint` is for another machine to compare."""

    findings: Findings
    facts: dict[str, str] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)

    def markdown(self, title: str) -> str:
        """A report that can be pasted into an issue."""
        lines = [
            f"### tagxai check generator {title}",
            "",
            "| check | result | what was found |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {each.check} | {each.outcome} | {_cell(each.text)} |" for each in self.findings.all]
        lines += ["", "| fact | value |", "| --- | --- |"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in self.facts.items()]
        return "\n".join(lines) + "\n"


def check_model(
    load: Callable[[], Generator],
    *,
    duration: float = 2.0,
    method: str | None = None,
    expected: Mapping[str, Any] | None = None,
    on_finding: Callable[[Finding], None] = lambda finding: None,
) -> ModelCheck:
    """Load a model and check it. `duration` is that of the clips that are timed and explained, in seconds.

    `expected` is a fingerprint from elsewhere. Whatever goes wrong is a finding; only what cannot be loaded raises.
    """
    check = ModelCheck(Findings(on_finding))
    started = perf_counter()
    generator = load()
    seconds = perf_counter() - started
    duration = min(duration, generator.max_duration)
    check.facts.update(_facts(generator))
    check.findings.add("model", "load", "ok", f"in {seconds:.1f} s, {stored_bytes(generator) / 1e9:.2f} GB of weights")
    steps: dict[str, Callable[[], str]] = {
        "contract": lambda: _contract(generator),
        "fingerprint": lambda: _golden(check, generator, duration, expected),
        "time": lambda: _time(generator, duration),
        "explanation": lambda: _explain(generator, duration, method),
        "memory": lambda: _memory(generator, duration, method),
    }
    for name, step in steps.items():
        check.findings.run("model", name, step)
    return check


def _facts(generator: Generator) -> dict[str, str]:
    identity = generator.identity()
    device = generator.encode_prompt(["a"]).embeddings.device
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()}, CPU"
    versions = installed_versions()
    return {
        "model": f"{generator.name}, weights {identity.weights[:16]}, configuration {identity.settings[:16]}",
        "offers": ", ".join(sorted(generator.offers)) or "nothing beyond clips and passes",
        "clips": f"{generator.sample_rate} Hz, {generator.frame_rate:g} frames a second, up to "
        f"{generator.max_duration:g} s",
        "device": f"{where}, {identity.dtype}, {torch.get_num_threads()} threads",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _contract(generator: Generator) -> str:
    from tagxai.testing import check_generator

    tolerance = EXACT if generator.identity().dtype == "float32" else HALF
    check_generator(generator, tolerance=tolerance)
    return f"check_generator passed, tolerance {tolerance:g}"


def _golden(check: ModelCheck, generator: Generator, duration: float, expected: Mapping[str, Any] | None) -> str:
    check.fingerprint.update(fingerprint(generator, duration))
    found = ", ".join(f"{name} {check.fingerprint[name]}" for name in ("record", "log_prob", "loudness"))
    if fingerprint(generator, duration) != check.fingerprint:
        raise ValueError(f"one prompt and seed gave two clips: {found}")
    if expected is None:
        return found
    wrong = differences(check.fingerprint, expected)
    if wrong:
        raise ValueError("; ".join(wrong))
    same = "bit for bit" if check.fingerprint["record"] == expected["record"] else "but for rounding"
    return f"as expected, {same}: {found}"


def _time(generator: Generator, duration: float) -> str:
    clip, generating = _timed(lambda: generator.generate(PROMPT, duration=duration, seed=1))
    with torch.no_grad():
        _, scoring = _timed(lambda: generator.forward(clip))
        _, decoding = _timed(lambda: generator.decode(clip))
    return (
        f"{clip.duration:g} s of sound in {generating:.2f} s ({generating / clip.duration:.2f} s a second), a pass "
        f"{scoring:.3f} s, decoding {decoding:.3f} s"
    )


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = perf_counter()
    found = call()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return found, perf_counter() - started


def _explain(generator: Generator, duration: float, method: str | None) -> str:
    attribution, seconds = _timed(lambda: explain(PROMPT, method=method, generator=generator, duration=duration))
    scores = ", ".join(f"{score.text} {score.score:.2f}" for score in attribution.per_word())
    return f"{attribution.method} in {seconds:.1f} s: {scores}"


def _memory(generator: Generator, duration: float, method: str | None) -> str:
    made = make_method(method) if method is not None else make_method(*default_method(generator))
    expected = estimate(generator, PROMPT, duration, made)
    peak = peak_memory()
    whole = (expected.weights + expected.needed) / 1e9
    return f"{peak / 1e9:.2f} GB at the peak of the process; estimated for the model {whole:.2f} GB"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
