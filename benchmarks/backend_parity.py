"""One model in both backends: how much transformers and audiocraft differ, and whether that is within bounds.

    uv run python benchmarks/backend_parity.py [--prompts 3] [--duration 3] [--json FILE]

Converts the embedded model to audiocraft's format in a temporary folder, loads it there, and prints the largest
differences as a table and as JSON. Exits with 1 if a bound is exceeded. float32 on the CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from machine import machine

from tagxai.contract.attention import edit_attention
from tagxai.contract.values import Generation
from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.probing.edits import Capture

BOUNDS = {
    "logits": 1e-4,
    "hidden states": 1e-4,
    "hidden states, in a padded batch": 1e-4,
    "log-probabilities, guided": 1e-4,
    "cross-attention": 1e-5,
    "decoded audio": 1e-4,
    "greedy codes": 0,  # how many are others
    "sampled codes": 0,
    "masked codes": 0,
    "AudioGenX scores": 1e-3,
}
PROMPTS = (
    "a dog barks while rain falls",
    "a bell rings followed by thunder",
    "the sound of a siren",
)


def compare(
    first: DelayPatternGenerator,
    second: DelayPatternGenerator,
    prompts: Sequence[str] = PROMPTS,
    *,
    duration: float,
) -> dict[str, float]:
    """The largest difference over the prompts, for everything in BOUNDS."""
    largest = dict.fromkeys(BOUNDS, 0.0)
    for seed, prompt in enumerate(prompts):
        for name, value in _differences(first, second, prompt, prompts, duration, seed):
            largest[name] = max(largest[name], value if value == value else float("inf"))  # nan is no agreement
    return largest


def _differences(
    first: DelayPatternGenerator,
    second: DelayPatternGenerator,
    prompt: str,
    prompts: Sequence[str],
    duration: float,
    seed: int,
) -> Iterator[tuple[str, float]]:
    both = (first, second)
    clip = first.generate(prompt, duration=duration, seed=seed)
    mask = torch.rand(clip.positions, len(clip.tokens), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        hidden = [generator.hidden_states(clip) for generator in both]
        yield "hidden states", distance(*hidden)
        yield "logits", distance(*(logits(g, states) for g, states in zip(both, hidden, strict=True)))
        batches = [g.hidden_states(clip, g.encode_prompt(prompts)) for g in both]
        yield "hidden states, in a padded batch", distance(*batches)
        guided = [generator.forward(clip, branch="guided").log_prob for generator in both]
        yield "log-probabilities, guided", distance(*guided)
        yield "cross-attention", distance(*(attention(generator, clip) for generator in both))
    yield "decoded audio", distance(*(generator.decode(clip) for generator in both))
    sampling = {name: clip.settings[name] for name in ("guidance_scale", "top_k", "temperature")}
    for name, options in (
        ("sampled codes", {"seed": seed}),
        ("greedy codes", {"temperature": 0.0}),
        ("masked codes", {"seed": seed, "mask": mask}),
    ):
        codes = [made(generator, prompt, duration, sampling | options) for generator in both]
        yield name, float((codes[0] != codes[1]).sum())
    learned = AudioGenX(noise=True, warm_start="half", adam_beta1=0.9, smoothness=0.0, alpha=2e-2, learning_rate=1.0)
    yield "AudioGenX scores", distance(*(learned.attribute(generator, clip).scores for generator in both))


def made(generator: DelayPatternGenerator, prompt: str, duration: float, options: dict[str, Any]) -> torch.Tensor:
    return generator.generate(prompt, duration=duration, **options).record["codes"]


def logits(generator: DelayPatternGenerator, hidden: torch.Tensor) -> torch.Tensor:
    return torch.stack([head(hidden) for head in generator._heads])


def attention(generator: DelayPatternGenerator, clip: Generation) -> torch.Tensor:
    """Cross-attention weights of every layer and head."""
    capture = Capture(keep_layers=True, keep_heads=True)
    with edit_attention(generator.cross_attention(), capture):
        generator.hidden_states(clip)
    return capture.weights()


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return (first - second).abs().max().item()


def broken(differences: dict[str, float]) -> list[str]:
    return [name for name, value in differences.items() if not value <= BOUNDS[name]]


def table(differences: dict[str, float]) -> Iterable[str]:
    yield f"{'':34}{'largest difference':>20}{'bound':>10}"
    for name, value in differences.items():
        counted = BOUNDS[name] == 0
        shown = f"{value:.0f} others" if counted else f"{value:.2e}"
        bound = "none" if counted else f"{BOUNDS[name]:.0e}"
        yield f"{name:34}{shown:>20}{bound:>10}{'' if value <= BOUNDS[name] else '  BROKEN'}"


def main() -> None:
    from tagxai.conversion import convert
    from tagxai.explaining.loading import load_generator
    from tagxai.generators.audiocraft.model import AudioGenGenerator
    from tagxai.generators.tiny import WEIGHTS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS), choices=range(1, len(PROMPTS) + 1))
    parser.add_argument("--duration", type=float, default=3.0)
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    arguments = parser.parse_args()

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = convert(str(WEIGHTS), Path(folder) / "tiny", to="audiocraft")
        first, second = load_generator("tiny"), AudioGenGenerator.load(str(report.folder))
        assert isinstance(first, DelayPatternGenerator)
        differences = compare(first, second, PROMPTS[: arguments.prompts], duration=arguments.duration)
    failed = broken(differences)
    print("\n".join(table(differences)), end="\n\n")
    result = {
        "differences": differences,
        "bounds": BOUNDS,
        "broken": failed,
        "tensors": report.tensors,
        "prompts": list(PROMPTS[: arguments.prompts]),
        "duration_s": arguments.duration,
        "seconds": round(time.perf_counter() - started, 1),
        "machine": machine(torch.get_num_threads()),
    }
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
