"""All methods against the laboratory's truth: do explanations name the right words at the right seconds?

    uv run python benchmarks/laboratory.py [--clips 60] [--seed 0] [--methods "audiogenx,audiogenx(noise=yes),random"]
        [--against random] [--generator latent] [--out FOLDER]

Prompts come from the test split (`--split validation` is for choices): training included none of their combinations
of events. The truth of a clip is the grammar's, in the frames where the detector hears the event, and only for words
whose effect is confirmed by an intervention on the model: on the words themselves or, with `--level attention`, on
their own tokens in the cross-attention. Prints Markdown. All measurements go to FOLDER/laboratory.json, clip by clip,
and an interrupted run resumes from there. Intervals are percentile bootstraps over clips (95 %). `oracle`, `degraded
oracle` and `random` are controls. Cost is CPU time on one thread, summed over clips, relative to that of generating
the same clips, which is measured before and after the methods of each clip; a first clip warms up.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch

from tagxai import storage
from tagxai.benchmark import controls
from tagxai.benchmark.entry_syntax import split
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.truth import Level, Truth
from tagxai.contract.values import Generation
from tagxai.errors import DamagedFileError, TagxaiError, UnknownNameError
from tagxai.explaining.loading import load_generator, make_method
from tagxai.laboratory.judging.interventions import removed
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.prompt import Prompt
from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.sounds.splits import Split
from tagxai.metrics.areas_under_curves import average_precision
from tagxai.metrics.best_word import hit, reciprocal_rank
from tagxai.metrics.bootstrap import bootstrap
from tagxai.metrics.families.localisation import align
from tagxai.metrics.pointing_game import pointing_game
from tagxai.metrics.relevance import relevance_mass, relevance_rank
from tagxai.registering.registry import registry

T = TypeVar("T")

METRICS = {
    "hit@1": hit,
    "MRR": reciprocal_rank,
    "pointing game": pointing_game,
    "mass accuracy": relevance_mass,
    "rank accuracy": relevance_rank,
    "average precision": average_precision,
}
CONTROLS = ("oracle", "degraded oracle")
KINDS = ("event", "attribute", "count")


def method_of(label: str) -> Method:
    """A control, or a method from `NAME` or `NAME(key=value, ...)`. Raises TagxaiError."""
    if label in CONTROLS:
        return controls.CONTROLS[label]()
    name, _, settings = label.removesuffix(")").partition("(")
    pairs = (setting.partition("=") for setting in settings.split(",") if setting.strip())
    return make_method(name.strip(), {key.strip(): value.strip() for key, _, value in pairs})


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and its seconds of CPU time."""
    started = time.process_time()
    return work(), time.process_time() - started


def measure(explanation: Attribution, truth: Truth) -> dict[str, dict[str, float]]:
    """Every metric for every kind of word that is known to act in this clip."""
    figures: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        try:
            scores, mask, scored = align(explanation, truth, kind)
        except TagxaiError:  # no such word
            continue
        figures[kind] = {name: round(metric(scores, mask, scored), 6) for name, metric in METRICS.items()}
    return figures


def importance(explanation: Attribution, prompt: Prompt) -> dict[str, float]:
    """The mean score over the clip of the words of events to be heard, and of denied events.

    Each is a share of the highest score.
    """
    found: dict[str, list[float]] = {"present": [], "denied": [], "filler": []}
    scores = explanation.per_word()
    best = max(abs(score.score) for score in scores) or 1.0
    words = prompt.words()
    for score in scores:
        word = next((w for w in words if w.start_char < score.unit.end and score.unit.start < w.end_char), None)
        if word is None or score.unit.special:
            continue
        if word.kind == "event" and word.mention is not None:
            found["denied" if prompt.mentions[word.mention].absent else "present"].append(score.score / best)
        elif word.kind == "filler":
            found["filler"].append(score.score / best)
    return {name: sum(values) / len(values) for name, values in found.items() if values}


def without_event(generator: Generator, generation: Generation, prompt: Prompt) -> Generation | None:
    """A clip without the last event, presented as a clip of the whole prompt; None if the prompt has only one event."""
    if len(prompt.present) < 2:
        return None
    less = generator.generate(removed(prompt, prompt.present[-1]), seed=generation.seed)
    return replace(generation, record=less.record, waveform=less.waveform)


def share_of_last(explanation: Attribution, prompt: Prompt) -> float:
    """The mean score of the last event's words, divided by the mean scores of all events' words."""
    means = []
    for mention in prompt.present:
        mine = [
            s.score
            for s in explanation.per_word()
            if s.unit.start < mention.end_char and mention.start_char < s.unit.end
        ]
        means.append(max(0.0, sum(mine) / len(mine)) if mine else 0.0)
    return means[-1] / (sum(means) or 1.0)


def read(path: Path) -> dict[str, Any]:
    """The results of an earlier run, or nothing. Raises DamagedFileError, and leaves a damaged file unchanged."""
    kept = storage.read_json(path) if path.exists() else {}
    if not all(isinstance(record, dict) and isinstance(record.get("methods"), dict) for record in kept.values()):
        raise DamagedFileError(f"{path} is not what this benchmark wrote; mend it, or give another --out")
    return kept


def number_from(smallest: int, text: str) -> int:
    """An argparse type: a whole number of at least `smallest`."""
    if not text.isdecimal() or int(text) < smallest:
        raise argparse.ArgumentTypeError(f"expected a whole number from {smallest} up, not {text!r}")
    return int(text)


def run(
    clips: int,
    methods: list[str],
    seed: int,
    level: Level,
    path: Path,
    of: Split = "test",
    model: str = "tiny",
    twins: bool = True,
) -> dict[str, Any]:
    """Everything measured, clip by clip; goes on from what `path` holds."""
    generator = load_generator(model)
    kept = read(path)
    for index, prompt in enumerate(prompts(of, clips, seed)):
        key = f"{seed + index}: {prompt.text}"
        record = kept.setdefault(key, {"prompt": prompt.text, "form": prompt.form, "methods": {}})
        todo = [name for name in (*CONTROLS, *methods) if name not in record["methods"]]
        if not todo:
            continue
        generate = partial(generator.generate, prompt.text, seed=seed + index)
        if not index:
            for name in todo:
                method_of(name).attribute(generator, generate())
        generation, before = timed(generate)
        truth = generator.truth(generation, level)
        assert truth is not None
        known = parse(prompt.text)
        assert known is not None
        record["causal_words"] = sum(word.causal for word in truth.words)
        if not truth.mask.any():
            record["methods"] = dict.fromkeys((*CONTROLS, *methods))
            todo = []
        explained = {name: timed(partial(method_of(name).attribute, generator, generation)) for name in todo}
        generate_seconds = (before + timed(generate)[1]) / 2
        lacking = without_event(generator, generation, known) if twins else None
        for name, (explanation, seconds) in explained.items():
            record["methods"][name] = {
                "seconds": seconds,
                "generate_seconds": generate_seconds,
                "figures": measure(explanation, truth),
                "importance": importance(explanation, known),
            }
            if lacking is not None and name not in CONTROLS:
                other = method_of(name).attribute(generator, lacking)
                record["methods"][name]["last_event"] = [share_of_last(e, known) for e in (explanation, other)]
        partial_file = path.with_suffix(".partial")
        partial_file.write_text(json.dumps(kept))
        partial_file.replace(path)
        print(f"\r{index + 1}/{clips} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return kept


def cell(values: list[float], others: list[float] | None = None) -> str:
    """The mean, or the mean of paired differences, with its interval."""
    if not values:
        return "-"
    beside = None if others is None else torch.tensor(others)
    mean, low, high = bootstrap(torch.tensor(values), beside, resamples=2000)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def answers(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """What was measured of a method, in every clip that has confirmed words."""
    return [record["methods"][name] for record in records if record["methods"].get(name)]


def cost(records: list[dict[str, Any]], name: str) -> str:
    timings = [(each["seconds"], each.get("generate_seconds")) for each in answers(records, name)]
    if name in CONTROLS or not timings or any(generate is None for _, generate in timings):
        return "-"
    return f"{sum(own for own, _ in timings) / sum(generate for _, generate in timings):.2f}"


def differences(records: list[dict[str, Any]], methods: list[str], against: str) -> list[str]:
    """How much better each method is than `against`, clip by clip, for the words of events."""
    both = [r for r in records if "event" in (r["methods"].get(against) or {"figures": {}})["figures"]]
    lines = [f"### Words of events: difference to {against}, paired", ""]
    lines += ["| method | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 1) + "|"]
    for name in (name for name in methods if name != against):
        pairs = [[r["methods"][each]["figures"]["event"] for each in (name, against)] for r in both]
        cells = (cell([one[metric] for one, _ in pairs], [other[metric] for _, other in pairs]) for metric in METRICS)
        lines += ["| " + " | ".join([name, *cells]) + " |"]
    return [*lines, ""]


def tables(kept: dict[str, Any], methods: list[str], against: str | None = None) -> str:
    records = [record for record in kept.values() if any(record["methods"].values())]
    lines = [f"{len(records)} clips with confirmed words, of {len(kept)}.", ""]
    for kind in KINDS:
        rows = []
        for name in (*CONTROLS, *methods):
            found = [answer["figures"][kind] for answer in answers(records, name) if kind in answer["figures"]]
            first = sum(figures["average precision"] for figures in found) / max(1, len(found))
            rows.append((first, [name, *(cell([f[metric] for f in found]) for metric in METRICS), cost(records, name)]))
        lines += [f"### Words of kind: {kind}", "", "| method | " + " | ".join(METRICS) + " | cost / generate |"]
        lines += ["|---" * (len(METRICS) + 2) + "|"]
        lines += ["| " + " | ".join(row) + " |" for _, row in sorted(rows, key=lambda row: -row[0])] + [""]
    if against is not None:
        lines += differences(records, methods, against)
    lines += ["### Mean score of a word as a share of the clip's best: asked for, denied, filler", ""]
    lines += ["| method | asked for | denied | filler |", "|---|---|---|---|"]
    for name in methods:
        shares = [record["methods"][name]["importance"] for record in records if record["methods"].get(name)]
        with_denied = [share for share in shares if "denied" in share]
        lines += [
            "| "
            + " | ".join(
                [name, *(cell([s[k] for s in with_denied if k in s]) for k in ("present", "denied", "filler"))]
            )
            + " |"
        ]
    lines += ["", "### Share of the last event's words among all events' words: in the clip, in one that lacks it", ""]
    lines += ["| method | in the clip | in one without the event | difference, paired |", "|---|---|---|---|"]
    for name in methods:
        pairs = [r["methods"][name]["last_event"] for r in records if "last_event" in (r["methods"].get(name) or {})]
        if pairs:
            with_event, without = (torch.tensor(column) for column in zip(*pairs, strict=True))
            mean, low, high = bootstrap(with_event, without, resamples=2000)
            lines += [
                f"| {name} | {with_event.mean():.2f} | {without.mean():.2f} | {mean:.2f} [{low:.2f}, {high:.2f}] |"
            ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=partial(number_from, 1), default=60)
    parser.add_argument("--methods", help="comma-separated names, perhaps with settings (default: all installed)")
    parser.add_argument("--against", help="the method that all others are compared with, clip by clip")
    parser.add_argument("--split", choices=get_args(Split), default="test", help="the split that prompts come from")
    parser.add_argument("--seed", type=partial(number_from, 0), default=0)
    parser.add_argument("--generator", choices=("tiny", "latent"), default="tiny", help="the embedded model")
    parser.add_argument("--no-twins", action="store_true", help="leave out the clips that lack an event, half the time")
    parser.add_argument("--level", choices=get_args(Level), default="word", help="the intervention that confirms words")
    parser.add_argument("--out", type=Path, default=Path("laboratory-out"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    methods = split(options.methods) if options.methods else sorted(registry().methods)
    try:
        for name in methods:
            method_of(name)
        if options.against not in (None, *methods):
            raise UnknownNameError("method of --methods", options.against, methods)
        path = storage.output_folder(options.out) / "laboratory.json"
        how = options.split, options.generator, not options.no_twins
        kept = run(options.clips, methods, options.seed, options.level, path, *how)
    except TagxaiError as error:
        sys.exit(str(error))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(tables(kept, methods, options.against))
    machine = f"{platform.machine()}, 1 thread, torch {torch.__version__}; commit {commit}"
    print(f"\n{options.generator}, {options.split} prompts, seed {options.seed}; {machine}")


if __name__ == "__main__":
    main()
