"""Many callers of one generator: the results of threads and of asyncio tasks against those of one caller, bit for bit.

    uv run python benchmarks/callers.py [--calls 200] [--callers 8] [--backends transformers stereo audiocraft]

Every caller makes calls of mixed kinds, in an order of its own, on one shared generator: plain and masked generation,
a batch of clips, forward passes, attention as seen and as edited, gradients in reverse and in forward mode, methods of
every family. What each call gives serially is known beforehand. Prints how many calls of how many differ, and the
slowdown: the seconds of all calls from many callers, divided by those of as many serial calls.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import Any

import torch

from tagxai import Generator
from tagxai.contract.attention import edit_attention, scale_values
from tagxai.contract.request import Request
from tagxai.probing.edits import Capture, Gate
from tagxai.probing.forward_mode import token_derivatives
from tagxai.registering.registry import registry
from tagxai.testing import random_audiocraft_checkpoint, random_checkpoint

PROMPTS = ("a dog barks while rain falls", "thunder then a bell")
SECONDS = 0.4
METHODS: dict[str, dict[str, Any]] = {
    "audiogenx": {"epochs": 3},
    "occlusion": {},
    "shapley": {},
    "input_x_gradient": {"mode": "forward"},
    "saliency": {"mode": "reverse"},
    "alti": {},
    "value_zeroing": {},
    "gradient_x_attention": {},
}
Call = Callable[[], Sequence[torch.Tensor]]


def load(backend: str) -> Generator:
    """A small random model."""
    from tagxai.generators.transformers.model import TransformersGenerator

    with tempfile.TemporaryDirectory() as folder:
        if backend == "audiocraft":
            from tagxai.generators.audiocraft.model import AudioGenGenerator

            return AudioGenGenerator.load(str(random_audiocraft_checkpoint(folder)))
        return TransformersGenerator.load(str(random_checkpoint(folder, channels=2 if backend == "stereo" else 1)))


def calls_of(generator: Generator) -> dict[str, Call]:
    """Every kind of call, by name; each gives the tensors that are compared."""
    clip = generator.generate(PROMPTS[0], duration=SECONDS, seed=1)
    tokens, sites = len(clip.tokens), generator.cross_attention()
    gate = torch.rand(clip.positions, tokens, generator=torch.Generator().manual_seed(5))

    def sound(**options: Any) -> Sequence[torch.Tensor]:
        made = generator.generate(PROMPTS[0], duration=SECONDS, **options)
        return [*made.record.values(), made.waveform]

    def batch() -> Sequence[torch.Tensor]:
        requests = [Request(prompt, SECONDS, seed) for seed, prompt in enumerate(PROMPTS)]
        return [made.record["codes"] for made in generator.generate_many([*requests, replace(requests[0], mask=gate)])]

    def forward(branch: Any) -> Sequence[torch.Tensor]:
        return [generator.forward(clip, branch=branch).log_prob]

    def seen() -> Sequence[torch.Tensor]:
        with edit_attention(sites, capture := Capture(keep_layers=True, keep_heads=True)):
            generator.forward(clip)
        return [capture.weights()]

    def gated() -> Sequence[torch.Tensor]:
        with edit_attention(sites, Gate(gate)):
            return [generator.forward(clip).log_prob]

    def scaled() -> Sequence[torch.Tensor]:
        with scale_values(sites, gate[:1]):
            return [generator.forward(clip).log_prob]

    def gradient() -> Sequence[torch.Tensor]:
        conditioning = generator.encode_prompt([clip.prompt])
        embeddings = conditioning.embeddings.detach().clone().requires_grad_()
        output = generator.forward(clip, replace(conditioning, embeddings=embeddings))
        return torch.autograd.grad(output.log_prob.sum(), embeddings)

    def moved() -> Sequence[torch.Tensor]:
        return [token_derivatives(generator, clip, generator.encode_prompt([clip.prompt]))]

    def explained(name: str) -> Call:
        method = registry().method(name).configure(METHODS[name])
        return lambda: [method.attribute(generator, clip).scores]

    return {
        "generation": lambda: sound(seed=3),
        "masked generation": lambda: sound(seed=3, mask=gate),
        "batch of clips": batch,
        **{f"{branch} forward pass": lambda b=branch: forward(b) for branch in ("conditional", "guided")},
        "attention as seen": seen,
        "gated attention": gated,
        "scaled values": scaled,
        "gradient": gradient,
        "forward mode": moved,
        **{name: explained(name) for name in METHODS},
    }


def threads(jobs: Sequence[Callable[[], int]]) -> int:
    """The sum of what the jobs give, each in a thread."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        return sum(pool.map(lambda job: job(), jobs))


def tasks(jobs: Sequence[Callable[[], int]]) -> int:
    """The same by `asyncio.to_thread`."""

    async def all_of_them() -> int:
        return sum(await asyncio.gather(*(asyncio.to_thread(job) for job in jobs)))

    return asyncio.run(all_of_them())


def measure(generator: Generator, callers: int, calls: int, how: Callable[..., int]) -> tuple[dict[str, int], float]:
    """Wrong calls by kind, and the slowdown."""
    kinds = calls_of(generator)
    for call in kinds.values():
        call()  # warm
    expected, seconds = {}, {}
    for name, call in kinds.items():
        started = perf_counter()
        expected[name] = call()
        seconds[name] = perf_counter() - started
    wrong: dict[str, int] = {}

    def caller(number: int) -> int:
        found = 0
        for name in order(number, calls, list(kinds)):
            try:
                given = kinds[name]()
                same = all(torch.equal(a, b) for a, b in zip(given, expected[name], strict=True))
            except Exception as error:  # counts as wrong, and says which
                name, same = f"{name}: {type(error).__name__}: {str(error).splitlines()[:1]}", False
            if not same:
                wrong[name] = wrong.get(name, 0) + 1
                found += 1
        return found

    serial = sum(seconds[name] for number in range(callers) for name in order(number, calls, list(kinds)))
    started = perf_counter()
    how([lambda n=number: caller(n) for number in range(callers)])
    return wrong, (perf_counter() - started) / serial


def order(caller: int, calls: int, kinds: list[str]) -> list[str]:
    return random.Random(caller).choices(kinds, k=calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="of each caller")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--backends", nargs="+", default=["transformers", "stereo", "audiocraft"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for backend in arguments.backends:
        generator = load(backend)
        for name, how in (("threads", threads), ("asyncio.to_thread", tasks)):
            wrong, slowdown = measure(generator, arguments.callers, arguments.calls, how)
            total = arguments.callers * arguments.calls
            print(f"{backend}, {name}: {sum(wrong.values())} of {total} calls wrong, slowdown {slowdown:.2f}")
            for kind, count in sorted(wrong.items()):
                print(f"    {kind}: {count}")


if __name__ == "__main__":
    main()
