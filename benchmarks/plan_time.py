"""The time that `tagxai bench plan` foresees, against the time that the run then takes.

    uv run python benchmarks/plan_time.py [--prompts 24] [--trial 30] [--cpu-time] [--out FILE]

Three plans on the CPU: cheap methods and metrics of the embedded model; a method that learns, and a metric for the
first prompts alone; and the analytic model with metrics that need the truth. Each is foreseen by a trial (`foresee`),
which keeps nothing, and then run in a folder of its own. Promised is a ratio within 30 %. `--cpu-time` takes the
processor's seconds for both, which other programs on the machine do not change; without it they are those of a clock.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import machine

from tagxai.benchmark import running
from tagxai.benchmark.foresight import trial
from tagxai.benchmark.foresight.foreseeing import foresee
from tagxai.benchmark.plan_options import make_plan

PROMISED = 0.3
PLANS = {
    "cheap": {"methods": ["cross_attention", "occlusion"], "metrics": ["mask_size", "gini"]},
    "learned": {
        "methods": ["audiogenx(epochs=10)", "cross_attention"],
        "metrics": ["mask_size", {"name": "seed_robustness", "prompts": 4}],
    },
    "analytic": {
        "generators": ["analytic"],
        "methods": ["cross_attention", "occlusion", "shapley"],
        "metrics": ["roc_auc", "hit_at_1", "sufficiency"],
    },
}


def measured(content: dict, prompts: int, seconds: float) -> tuple[float, float]:
    """The seconds that are foreseen, and those that the run takes."""
    plan = make_plan(content | {"prompts": f"laboratory:test:{prompts}", "device": "cpu", "threads": 1})
    foresee(plan, seconds=1.0)  # what is loaded once in a process must not count in one of the two alone
    cost = foresee(plan, seconds=seconds).forecast
    with TemporaryDirectory() as folder:
        started = trial.perf_counter()
        running.run(plan, Path(folder) / "run")
        return cost.seconds, trial.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--trial", type=float, default=30.0)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.cpu_time:
        trial.perf_counter = running.perf_counter = time.process_time
    clock = "processor's seconds" if arguments.cpu_time else "seconds"
    lines = ["# Foreseen and measured time of benchmarks", ""]
    lines += [f"{arguments.prompts} prompts, a trial of {arguments.trial:g} s; {machine(1)}.", ""]
    lines += [f"| plan | foreseen, {clock} | measured | ratio |", "| --- | --- | --- | --- |"]
    kept = True
    for name, content in PLANS.items():
        foreseen, seconds = measured(content, arguments.prompts, arguments.trial)
        kept &= abs(foreseen / seconds - 1) <= PROMISED
        lines.append(f"| {name} | {foreseen:.1f} | {seconds:.1f} | {foreseen / seconds:.2f} |")
        print(lines[-1], flush=True)
    lines += ["", f"Promised is a ratio within {PROMISED:.0%}: {'kept' if kept else 'MISSED'}."]
    print(lines[-1])
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
