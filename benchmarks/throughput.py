"""How many clips, and AudioGenX masks, a CPU second, by how many at a time; and whether they are those of one by one.

    uv run python benchmarks/throughput.py [--models tiny small] [--clips 1 4 16 64] [--masks 1 4 16] [--seconds 1]

`tiny` is the embedded model; `small` has the shape of MusicGen-small and random weights. CPU seconds of one thread are
counted, as the clock of a shared machine says little. Peak memory is the highest resident size of the process so far,
so that it is read from the smallest batch to the largest. The masks are those of AudioGenX's default, of that many
clips of one length; `--masks` without a number leaves them out.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import torch
from machine import machine

from tagxai import Generator
from tagxai.contract.request import Request
from tagxai.explaining.loading import load_generator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.testing import random_checkpoint

PROMPTS = (
    "a dog barks while rain falls",
    "thunder then a bell",
    "a bird sings",
    "rain",
    "a siren rings while a dog barks",
)
SMALL = {"layers": 24, "heads": 16, "width": 1024, "text_width": 768, "vocabulary": 2048, "max_steps": 1600}


def load(model: str) -> Generator:
    if model == "tiny":
        return load_generator("tiny")
    with tempfile.TemporaryDirectory() as folder:
        return load_generator(f"musicgen:{random_checkpoint(folder, feed_forward=4096, **SMALL)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tiny", "small"], choices=["tiny", "small"])
    parser.add_argument("--clips", nargs="*", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--masks", nargs="*", type=int, default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each clip")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"clips of {arguments.seconds:g} s; {machine(1)}", flush=True)
    for model in arguments.models:
        measure_model(model, arguments.seconds, arguments.clips, arguments.masks)


def measure_model(model: str, seconds: float, clips: Sequence[int], masks: Sequence[int]) -> None:
    generator = load(model)
    generator.generate(PROMPTS[0], duration=0.1)  # warm
    requests = [Request(PROMPTS[i % len(PROMPTS)], seconds, seed=i) for i in range(max([*clips, *masks]))]
    if clips:
        measure(
            f"{model}, clips",
            lambda which: generator.generate_many(requests[which]),
            clips,
            lambda clip: clip.record["codes"],
        )
    if masks:
        method, made = AudioGenX(), generator.generate_many(requests[: max(masks)])
        measure(
            f"{model}, masks",
            lambda which: method.attribute_many(generator, made[which]),
            masks,
            lambda found: found.scores,
        )


def measure(
    what: str, make: Callable[[slice], list[Any]], counts: Sequence[int], tensor_of: Callable[[Any], torch.Tensor]
) -> None:
    """Prints a line for each count; the first four are made one by one, too."""
    known: dict[int, torch.Tensor] = {}
    alone = 0.0
    for count in sorted(counts):
        started = process_time()
        made = [tensor_of(each) for each in make(slice(0, count))]
        rate = count / (process_time() - started)
        if not alone:
            started = process_time()
            known = {i: tensor_of(make(slice(i, i + 1))[0]) for i in range(min(4, max(counts)))}
            alone = len(known) / (process_time() - started)
        same = all(torch.equal(made[i], tensor) for i, tensor in known.items() if i < count)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{what}, {count:2d} at a time: {rate:.3g} a CPU second, {rate / alone:.2f} times one by one; "
            f"{'bit-equal' if same else 'NOT EQUAL'}; peak {peak:.2f} GiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
