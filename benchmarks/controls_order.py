"""Which metrics put the controls in order? Every metric of the oracle, the degraded oracle and random scores.

    uv run python benchmarks/controls_order.py [--clips 12] [--seed 4321] [--metrics kl_f,kl_cf]

Validation prompts of the embedded model. A metric that does not rank right explanations above chance means nothing.
`order` is what the leaderboard checks (`tagxai.benchmark.control_order`). Ctrl-C reports the clips finished so far.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from contextlib import suppress

import torch

from tagxai.benchmark.control_order import BEST, BETWEEN, CHANCE, out_of_order
from tagxai.benchmark.controls import CONTROLS
from tagxai.contract.metric import MethodMetric
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator
from tagxai.laboratory.language.streams import prompts
from tagxai.metrics.intervals import mean_interval
from tagxai.registering.registry import registry

NAMES = (BEST, BETWEEN, CHANCE)
UNJUDGED = ("robustness", "randomisation")
"""Families that ask the method again on the same clip: controls then repeat themselves."""

Values = dict[str, dict[str, dict[str, float]]]


def measure(metrics: list[str], clips: int, seed: int, values: Values) -> None:
    """Fill `values[metric][control][prompt]`, clip by clip."""
    generator = load_generator("tiny")
    for number, prompt in enumerate(prompts("validation", clips, seed)):
        clip = generator.generate(prompt.text, seed=seed + number)
        truth = generator.truth(clip)
        if truth is None or not truth.mask.any():
            continue
        for control in NAMES:
            method = CONTROLS[control]()
            attribution = method.attribute(generator, clip)
            for name in metrics:
                metric = registry().metric(name)()
                with suppress(TagxaiError):  # not applicable to this prompt
                    values[name][control][prompt.text] = (
                        metric.score_method(generator, clip, attribution, method)
                        if isinstance(metric, MethodMetric)
                        else metric.score(generator, clip, attribution)
                    )
        print(f"\r{number + 1}/{clips} clips", end="", file=sys.stderr, flush=True)


def table(values: Values) -> str:
    lines = ["| metric | good | oracle | degraded oracle | random | clips | order |", "|---|---|---|---|---|---|---|"]
    for name, found in values.items():
        good = registry().metric(name).higher_is_better
        cells = [mean_interval(torch.tensor(list(found[each].values()))).text(3) for each in NAMES]
        wrong = out_of_order(found, good)
        count = str(len(found[BEST]))
        lines.append("| " + " | ".join([f"`{name}`", "high" if good else "low", *cells, count, wrong or "yes"]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seed", type=int, default=4321)
    parser.add_argument("--metrics", help="comma-separated names (default: all that controls can check)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = registry().metrics
    judged = [name for name, entry in known.items() if entry.cls.family not in UNJUDGED]
    metrics = options.metrics.split(",") if options.metrics else judged
    for name in metrics:
        registry().metric(name)  # refuses an unknown name with the choices
    values: Values = defaultdict(lambda: defaultdict(dict))
    with suppress(KeyboardInterrupt):
        measure(metrics, options.clips, options.seed, values)
    print(file=sys.stderr)
    print(table({name: found for name, found in values.items() if all(found[each] for each in NAMES)}))
    print(f"\nvalidation prompts, seed {options.seed}; 95 % intervals")


if __name__ == "__main__":
    main()
