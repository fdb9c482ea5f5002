"""How many clips a CPU second, by the number of clips in a stream; and whether they are those made one by one.

    uv run python benchmarks/throughput.py [--models tiny small] [--clips 1 4 16 64] [--seconds 1]

`tiny` is the embedded model; `small` has the shape of MusicGen-small and random weights. CPU seconds of one thread are
counted, as the clock of a shared machine says little. Peak memory is the highest resident size of the process so far,
so that it is read from the smallest batch to the largest.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from time import process_time

import torch

from tagxai import Generator
from tagxai.contract.request import Request
from tagxai.explaining.loading import load_generator
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
    parser.add_argument("--clips", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each clip")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for model in arguments.models:
        generator = load(model)
        generator.generate(PROMPTS[0], duration=arguments.seconds)  # warm
        requests = [Request(PROMPTS[i % len(PROMPTS)], arguments.seconds, seed=i) for i in range(max(arguments.clips))]
        known: dict[int, torch.Tensor] = {}
        alone = 0.0
        for count in sorted(arguments.clips):
            started = process_time()
            made = generator.generate_many(requests[:count])
            rate = count / (process_time() - started)
            if not alone:
                started = process_time()
                for i, request in enumerate(requests[: min(4, len(requests))]):
                    known[i] = generator.generate_one(request).record["codes"]
                alone = len(known) / (process_time() - started)
            same = all(torch.equal(made[i].record["codes"], codes) for i, codes in known.items() if i < count)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{model}, {count:2d} at a time: {rate:.3g} clips a CPU second, {rate / alone:.2f} times one by one; "
                f"{'bit-equal' if same else 'NOT EQUAL'}; peak {peak:.2f} GiB"
            )


if __name__ == "__main__":
    main()
