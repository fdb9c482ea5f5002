"""AudioGenX's cost and final loss: teacher-forced, and in the public scripts' step-isolated way, in one run.

    uv run python benchmarks/audiogenx_cost.py [--generator tiny] [--prompts laboratory:test:12] [--json FILE]

Every row explains the same clips in its own process, after one warm-up, and measures each clip's explanation in turn
with generating it. Reported are CPU seconds, the mean over clips; `of generating` is the ratio within a clip, its
median and [lowest, highest] over the clips. Peak memory is the process's highest resident size above that before an
explanation. `loss` is the paper's loss (with its weights 1e-3 and 1e-1) of the final noise-free mask, evaluated
teacher-forced for all rows. The line below the table answers: do 15 epochs reach the final loss of the paper's
explainer? Figures may also be written as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from multiprocessing import get_context
from operator import le
from pathlib import Path
from statistics import fmean
from typing import Any

from cost_timing import Spread, interleaved
from machine import machine

FEW, LOGITS, MLPS, REFERENCE = 15, "teacher_forced, paper's L1 weight", "teacher_forced, paper's MLPs", "reference"
WARM = f"{LOGITS}, from attention, {FEW} epochs"


def rows(epochs: int) -> dict[str, dict[str, Any] | None]:
    """The AudioGenX settings of each row; None is the generation itself."""
    fixed = {"epochs": epochs, "patience": 0}
    return {
        "generate, beside itself": None,
        "teacher_forced (default)": {},
        LOGITS: {"alpha": 1e-3},
        f"{LOGITS}, {FEW} epochs": {"alpha": 1e-3, "epochs": FEW, "patience": 0},
        WARM: {"alpha": 1e-3, "epochs": FEW, "patience": 0, "warm_start": "attention"},
        f"{LOGITS}, {epochs} epochs": {"alpha": 1e-3, **fixed},
        f"{MLPS}, {epochs} epochs": {"explainer": "mlp", **fixed},
        f"{REFERENCE}, {epochs} epochs": {"mode": "reference", **fixed},
    }


def measure(spec: str, prompts: list[str], settings: dict[str, Any] | None, threads: int) -> dict[str, Any]:
    """CPU seconds, peak memory (MiB) and results of one row, for every clip; runs in a new process."""
    import torch

    from tagxai.explaining.loading import load_generator
    from tagxai.methods.audiogenx import AudioGenX

    torch.set_num_threads(threads)
    generator = load_generator(spec)

    def generate(clip: Any) -> dict[str, Any]:
        generator.generate(clip.prompt, duration=clip.duration, seed=0)
        return {}

    def explain(clip: Any) -> dict[str, Any]:
        return {"found": AudioGenX(**settings).attribute(generator, clip)}

    clips = [generator.generate(prompt, seed=0) for prompt in prompts]
    if settings is not None:  # warm up: first calls load kernels
        AudioGenX(**{**settings, "epochs": 1}).attribute(generator, clips[0])
    work = generate if settings is None else explain
    samples = [interleaved(partial(work, clip), {"generate": partial(generate, clip)}, repeats=1) for clip in clips]
    row: dict[str, Any] = {
        "seconds": [each.seconds[0] for each in samples],
        "of_generating": [each.seconds[0] / each.references["generate"][0] for each in samples],
        "peak_mib": max((each.peak_mib for each in samples if each.peak_mib is not None), default=None),
    }
    if settings is not None:
        found = [each.found["found"].diagnostics for each in samples]
        row |= {
            "epochs": fmean(each["epochs"] for each in found),
            "trainable_parameters": fmean(each["trainable_parameters"] for each in found),
            "losses": [each["paper_loss_teacher_forced"] for each in found],
            "cosine_factual": fmean(each["cosine_factual"] for each in found),
            "cosine_counterfactual": fmean(each["cosine_counterfactual"] for each in found),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", default="tiny", help="NAME or NAME:SOURCE")
    parser.add_argument("--prompts", default="laboratory:test:12", help="prompts, as for `tagxai bench`")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1, help="torch threads; `tiny` is too small for more than one")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()

    from tagxai import TagxaiError
    from tagxai.benchmark.prompts import find_prompts
    from tagxai.registering.registry import registry

    if arguments.epochs < 1 or arguments.threads < 1:
        parser.error("--epochs and --threads take a whole number of at least 1")
    try:
        registry().generator(arguments.generator.partition(":")[0])
        prompts = find_prompts(arguments.prompts)
    except TagxaiError as error:
        sys.exit(str(error))
    results: dict[str, dict[str, Any]] = {}
    for name, settings in rows(arguments.epochs).items():
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        with get_context("spawn").Pool(1) as pool:
            results[name] = pool.apply(measure, (arguments.generator, prompts, settings, arguments.threads))
    report(results, prompts, arguments)


def report(results: dict[str, dict[str, Any]], prompts: list[str], arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{arguments.generator}: {len(prompts)} clips")
    for column in ("", "CPU s", "of generating", "peak MiB", "epochs", "parameters", "loss", "cos F", "cos CF"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in results.items():
        peak = "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        shown = [f"{fmean(row['seconds']):.3f}", str(Spread.of(row["of_generating"])), peak]
        if "losses" in row:
            shown += [f"{row['epochs']:.0f}", f"{row['trainable_parameters']:,.0f}", f"{fmean(row['losses']):.3f}"]
            shown += [f"{row['cosine_factual']:.4f}", f"{row['cosine_counterfactual']:.4f}"]
        table.add_row(name, *shown)
    Console(width=140).print(table)
    found = results[WARM]["losses"]
    for paper in (MLPS, REFERENCE):
        name = f"{paper}, {arguments.epochs} epochs"
        wanted = results[name]["losses"]
        met = "met" if fmean(found) <= fmean(wanted) else "not met"
        print(
            f"aim: the loss of {name!r} in {FEW} epochs of logits from attention: {fmean(found):.3f} <= "
            f"{fmean(wanted):.3f}, {met} (lower in {sum(map(le, found, wanted))} of {len(found)} clips)"
        )
    where = machine(arguments.threads)
    print(where)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": where, "rows": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
