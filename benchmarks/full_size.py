"""The cost of explanations at the size of the released models: exact shapes, random weights.

    uv run python benchmarks/full_size.py --shape audiogen-medium [--dtype bfloat16] [--stages generate forward]

Each stage runs in its own process, which builds the model directly in its dtype, warms up on a clip of two frames, and
reports the stage's seconds and the process's peak memory (resident, with weights). Finished stages are kept in
OUT/SHAPE-DTYPE.json and do not run again; Shapley's coalitions are kept in eight parts. The codes of a clip do not
affect the cost, so all stages except `generate` explain random ones.

`stable-audio-open` and `stable-audio-3-small` denoise latents; what their stages time and multiply is in
`full_size_latents.py`.

The H100 column is an ESTIMATE, not a measurement. For each stage it is the largest of its arithmetic at 35 % of the
card's dense bfloat16 peak (989 TFLOP/s; NVIDIA's data sheet), the weights that its calls read at 60 % of 3.35 TB/s, and
the launches of each layer's kernels in each call, the limit of PyTorch's eager generation: one millisecond, as measured
beside an H200 of decoders of codes (`results/gpu/gpu.md`). Stable Audio's layers took two to three there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from full_size_latent_shapes import LATENT_SHAPES
from full_size_shapes import SHAPES
from full_size_stages import PROMPT, STAGES, run_stage
from machine import machine


def finish(shape: str, dtype: str, wanted: list[str], out: Path, threads: int, cpu: bool = False) -> dict[str, Any]:
    """Run the stages that OUT lacks, each in its own process, and return the figures of all stages."""
    done: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    for stage in wanted:
        if stage in done:
            print(f"{shape} {dtype} {stage}: already there", file=sys.stderr)
            continue
        print(f"{shape} {dtype} {stage} ...", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, "--shape", shape, "--dtype", dtype, "--threads", str(threads)]
        command += ["--cpu"] if cpu else []
        child = subprocess.run([*command, "--out", str(out.parent), "--only", stage], stdout=subprocess.PIPE, text=True)
        if child.returncode:  # out of memory, most likely; the next stages may fit
            print(f"{shape} {dtype} {stage}: FAILED, exit status {child.returncode}", file=sys.stderr)
            continue
        done[stage] = json.loads(child.stdout.splitlines()[-1])
        written = out.with_suffix(".partial")
        written.write_text(json.dumps(done, indent=2) + "\n")
        written.replace(out)
        print(
            f"{shape} {dtype} {stage}: {done[stage]['seconds']:.1f} s, peak {done[stage]['peak_gb']:.1f} GB",
            file=sys.stderr,
        )
    return done


LAUNCHING = 1e-3
"""Seconds in which a host launches the kernels of one layer."""


def h100_seconds(figures: dict[str, Any], parameters: int, layers: int) -> float:
    """The estimate for bfloat16; the module's docstring explains it."""
    arithmetic = 2 * parameters * figures["positions"] / (0.35 * 989e12)
    reading = figures["calls"] * parameters * 2 / (0.6 * 3.35e12)
    return max(arithmetic, reading, figures["calls"] * layers * LAUNCHING)


def table(shape: str, results: dict[str, dict[str, Any]], clock: str = "seconds") -> list[str]:
    lines = [
        f"| stage | dtype | {clock} | x generate | peak GB | H100, estimated seconds | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for dtype, done in results.items():
        generate, load = done.get("generate"), done.get("load")
        for stage, figures in done.items():
            ratio = f"{figures['seconds'] / generate['seconds']:.3g}" if generate and stage != "load" else ""
            estimate = ""
            if load and dtype == "bfloat16" and "positions" in figures:
                estimate = (
                    f"{h100_seconds(figures, load['decoder_parameters'], (SHAPES | LATENT_SHAPES)[shape].layers):.2g}"
                )
            more = ""
            if "timed_seconds" in figures:
                more = f"from {figures['timed_seconds']:.3g} s of {figures['timed']} rows"
            elif "epochs" in figures:
                more = f"{figures['epochs']:.0f} epochs of {figures['seconds_per_epoch']:.3g} s"
            elif "coalitions" in figures:
                more = f"{figures['coalitions']} coalitions"
            elif "weights_gb" in figures:
                more = f"{figures['weights_gb']:.3g} GB of weights, {figures['sequence']} positions"
            lines.append(
                f"| {stage} | {dtype} | {figures['seconds']:.3g} | {ratio} | {figures['peak_gb']:.3g} "
                f"| {estimate} | {more} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES | LATENT_SHAPES, default="small")
    parser.add_argument("--dtype", choices=("bfloat16", "float32", "int8"), nargs="*", default=["bfloat16", "float32"])
    parser.add_argument("--stages", choices=STAGES, nargs="*", default=list(STAGES))
    parser.add_argument("--out", type=Path, default=Path("tagxai-out/full-size"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--cpu", action="store_true", help="seconds of one thread's CPU, for a busy machine: of models that denoise"
    )
    parser.add_argument("--only", choices=STAGES, help=argparse.SUPPRESS)  # in this process: for children alone
    arguments = parser.parse_args()
    if arguments.cpu and (arguments.shape not in LATENT_SHAPES or arguments.threads != 1):
        parser.error(f"--cpu takes --threads 1, and one of the shapes {', '.join(LATENT_SHAPES)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.shape in LATENT_SHAPES:  # 256 coalitions at 4 noise levels: arithmetic, not a measurement
        arguments.stages = [stage for stage in arguments.stages if stage != "shapley"]

    def place(dtype: str) -> Path:
        return arguments.out / f"{arguments.shape}-{dtype}{'-cpu' if arguments.cpu else ''}.json"

    if arguments.only:
        (dtype,) = arguments.dtype
        figures = run_stage(arguments.shape, dtype, arguments.only, place(dtype), arguments.threads, arguments.cpu)
        print(json.dumps(figures))
        return
    results = {
        dtype: finish(arguments.shape, dtype, arguments.stages, place(dtype), arguments.threads, arguments.cpu)
        for dtype in arguments.dtype
    }
    print("\n".join(table(arguments.shape, results, "CPU seconds" if arguments.cpu else "seconds")))
    print(f"\n{arguments.shape}, random weights, {PROMPT!r}; {machine(arguments.threads)}")
    missing = [f"{dtype} {stage}" for dtype, done in results.items() for stage in arguments.stages if stage not in done]
    if missing:
        sys.exit(f"failed: {', '.join(missing)}; the same command tries these again")


if __name__ == "__main__":
    main()
