"""All methods against the laboratory's truth: do explanations name the right words at the right seconds?

    uv run python benchmarks/laboratory.py [--clips 60] [--seed 0] [--methods "audiogenx,audiogenx(noise=yes),random"]
        [--against random] [--strata] [--twins] [--now] [--words] [--generator tiny] [--out FOLDER]

Prompts come from the test split (`--split validation` is for choices): training included none of their combinations
of events. The truth of a clip is the grammar's, in the frames where the detector hears the event, and only for words
whose effect is confirmed by an intervention on the model: on the words themselves or, with `--level attention`, on
their own tokens in the cross-attention. Beside each strict figure stands the three-valued one, for which silence
between a word's own sounds does not count.

`--strata` adds average precision by kind of prompt. `--twins` explains two more clips of each prompt: one made without
an event's words, and one in which the model ignored an event by itself, where six tries have one. `--now` asks when a
word is needed, window by window, and `--words` which single words of an event are.

Prints Markdown. All measurements go to FOLDER/laboratory.json, clip by clip, and an interrupted run resumes from there;
a method that was measured before keeps its figures, so give another FOLDER to measure more of it. `oracle`, `degraded
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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
from laboratory_measures import CONTROLS, importance, localisation, method_of, of_single_words, of_twin
from laboratory_tables import report

from tagxai import storage
from tagxai.benchmark.entry_syntax import split
from tagxai.contract.truth import Level
from tagxai.errors import DamagedFileError, TagxaiError, UnknownNameError
from tagxai.explaining.loading import load_generator
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.single_words import single_words
from tagxai.laboratory.judging.strata import strata
from tagxai.laboratory.judging.twins import ignoring
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.sounds.splits import Split
from tagxai.registering.registry import registry

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What to measure, and of which clips."""

    clips: int
    seed: int
    methods: list[str]
    split: Split
    level: Level
    twins: bool
    now: bool
    words: bool


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and its seconds of CPU time."""
    started = time.process_time()
    return work(), time.process_time() - started


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


def run(spec: str, asked: Asked, path: Path) -> dict[str, Any]:
    """Everything measured, clip by clip; goes on from what `path` holds."""
    generator, detector, kept = load_generator(spec), EventDetector.load(), read(path)
    names = (*CONTROLS, *asked.methods)
    for index, prompt in enumerate(prompts(asked.split, asked.clips, asked.seed)):
        seed = asked.seed + index
        record = kept.setdefault(f"{seed}: {prompt.text}", {"prompt": prompt.text, "form": prompt.form, "methods": {}})
        todo = [name for name in names if name not in record["methods"]]
        if not todo:
            continue
        generate = partial(generator.generate, prompt.text, seed=seed)
        if not index:
            for name in todo:
                method_of(name).attribute(generator, generate())
        generation, before = timed(generate)
        truth, known = generator.truth(generation, asked.level), parse(prompt.text)
        if truth is None or known is None:
            raise TagxaiError(f"generator {spec!r} knows no truth for {prompt.text!r}; choices: tiny")
        record["causal_words"] = sum(word.causal for word in truth.words)
        record["strata"] = strata(known, truth)
        if not truth.mask.any():
            record["methods"] = dict.fromkeys(names)
            todo = []
        explained = {name: timed(partial(method_of(name).attribute, generator, generation)) for name in todo}
        generate_seconds = (before + timed(generate)[1]) / 2
        lacking = {
            "twin": generator.twin(generation) if asked.twins and todo else None,
            "ignored": ignoring(generator, generation, detector, truth) if asked.twins and todo else None,
        }
        now = generator.truth(generation, "now") if asked.now and todo else None
        tested = single_words(generator, generation, detector, truth) if asked.words and todo else []
        record["single_words"] = [word.role for word in tested]
        for name, (explanation, seconds) in explained.items():
            record["methods"][name] = {
                "seconds": seconds,
                "generate_seconds": generate_seconds,
                "figures": localisation(explanation, truth),
                "three_valued": localisation(explanation, truth, "neither"),
                "now": localisation(explanation, now) if now is not None else {},
                "importance": importance(explanation, known),
                "single_words": of_single_words(explanation, truth, tested),
                **{
                    key: of_twin(method_of(name), generator, explanation, other)
                    for key, other in lacking.items()
                    if other is not None
                },
            }
        partial_file = path.with_suffix(".partial")
        partial_file.write_text(json.dumps(kept))
        partial_file.replace(path)
        print(f"\r{index + 1}/{asked.clips} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=partial(number_from, 1), default=60)
    parser.add_argument("--methods", help="comma-separated names, perhaps with settings (default: all installed)")
    parser.add_argument("--against", help="the method that all others are compared with, clip by clip")
    parser.add_argument("--split", choices=get_args(Split), default="test", help="the split that prompts come from")
    parser.add_argument("--seed", type=partial(number_from, 0), default=0)
    parser.add_argument("--level", choices=("word", "attention"), default="word", help="which words are confirmed")
    parser.add_argument("--generator", default="tiny", help="an embedded model (default: tiny)")
    parser.add_argument("--strata", action="store_true", help="average precision by kind of prompt")
    parser.add_argument("--twins", action="store_true", help="explain clips that lack an event, too")
    parser.add_argument("--now", action="store_true", help="ask when a word is needed, in windows of 0.4 s")
    parser.add_argument("--words", action="store_true", help="test single words of an event")
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
        wanted = {name: getattr(options, name) for name in ("clips", "seed", "split", "level", "twins", "now", "words")}
        kept = run(options.generator, Asked(methods=methods, **wanted), path)
    except TagxaiError as error:
        sys.exit(str(error))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(report(kept, methods, options.against, options.strata))
    machine = f"{platform.machine()}, 1 thread, torch {torch.__version__}; commit {commit}"
    print(f"\n{options.generator}, {options.split} prompts, seed {options.seed}; {machine}")


if __name__ == "__main__":
    main()
