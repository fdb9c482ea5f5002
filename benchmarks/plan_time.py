"""The time that `tagxai bench plan` foresees, against the time that the run then takes.

    uv run python benchmarks/plan_time.py [--prompts 24] [--out FILE]

Three plans of the embedded model, on the CPU: cheap methods and metrics; a method that learns; and expensive metrics
for the first prompts alone, on two processes. Each is foreseen by a trial (`foresee`), which keeps nothing, and then
run in a folder of its own. Both are seconds of one clock, with the loading of the model; promised is a ratio within
30 %. Another program that starts or ends between the two changes the ratio: run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from machine import machine

from tagxai.benchmark.foresight.foreseeing import foresee
from tagxai.benchmark.plan_options import make_plan
from tagxai.benchmark.running import run

PROMISED = 0.3
PLANS = {
    "cheap": {"methods": ["cross_attention", "occlusion", "input_x_gradient"], "metrics": ["roc_auc", "mask_size"]},
    "learned": {"methods": ["audiogenx(epochs=20)", "cross_attention"], "metrics": ["mask_size", "gini"]},
    "first prompts": {
        "methods": ["cross_attention", "occlusion"],
        "metrics": ["mask_size", "sufficiency", {"name": "seed_robustness", "prompts": 6}],
        "workers": 2,
    },
}


def measured(content: dict, prompts: int) -> tuple[float, float]:
    """The seconds that are foreseen, and those that the run takes."""
    workers = content.get("workers")
    given = {key: value for key, value in content.items() if key != "workers"}
    plan = make_plan(given | {"prompts": f"laboratory:test:{prompts}", "device": "cpu", "threads": 1})
    where = {"executor": "processes" if workers else "local", "workers": workers}
    cost = foresee(plan, seconds=30.0, **where).forecast
    with TemporaryDirectory() as folder:
        started = perf_counter()
        run(plan, Path(folder) / "run", **where)
        return cost.seconds, perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = ["# Foreseen and measured time of benchmarks", "", f"{arguments.prompts} prompts; {machine(1)}.", ""]
    lines += ["| plan | foreseen (s) | measured (s) | ratio |", "| --- | --- | --- | --- |"]
    kept = True
    for name, content in PLANS.items():
        foreseen, seconds = measured(content, arguments.prompts)
        kept &= abs(foreseen / seconds - 1) <= PROMISED
        lines.append(f"| {name} | {foreseen:.1f} | {seconds:.1f} | {foreseen / seconds:.2f} |")
        print(lines[-1], flush=True)
    lines += ["", f"Promised is a ratio within {PROMISED:.0%}: {'kept' if kept else 'MISSED'}."]
    print(lines[-1])
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":  # processes import this file again
    main()
