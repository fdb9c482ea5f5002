"""The cost of explanations at the size of the released models: exact shapes, random weights.

    uv run python benchmarks/full_size.py --shape audiogen-medium [--dtype bfloat16] [--stages generate forward]

Each stage runs in its own process, which builds the model directly in its dtype, warms up on a clip of two frames, and
reports the stage's seconds and the process's peak memory (resident, with weights). Finished stages are kept in
OUT/SHAPE-DTYPE.json and do not run again; Shapley's coalitions are kept in eight parts. The codes of a clip do not
affect the cost, so all stages except `generate` explain random ones.

The H100 column is an ESTIMATE, not a measurement. For each stage it is the largest of its arithmetic at 35 % of the
card's dense bfloat16 peak (989 TFLOP/s; NVIDIA's data sheet), the weights that its calls read at 60 % of 3.35 TB/s, and
30 kernel launches per layer and call at 5 microseconds each, the limit of PyTorch's eager generation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from tagxai.contract.values import Generation, Progress
    from tagxai.generators.transformers.model import TransformersGenerator

PROMPT = "a dog bark while rain fall then bird sing followed by thunder"  # 12 words, one token each, and </s>
PARTS = 8  # of Shapley's coalitions


@dataclass(frozen=True)
class Shape:
    """The sizes of decoder, text encoder and codec."""

    layers: int
    width: int
    heads: int
    text: dict[str, int]
    codec: dict[str, Any]
    vocabulary: int = 2048
    codebooks: int = 4
    seconds: float = 5.0


T5_LARGE = {"d_model": 1024, "d_kv": 64, "d_ff": 4096, "num_layers": 24, "num_heads": 16}
T5_BASE = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
T5_TINY = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 100}
ENCODEC = {"num_filters": 64, "hidden_size": 128, "codebook_dim": 128, "num_lstm_layers": 2}
ENCODEC_16K = ENCODEC | {"sampling_rate": 16_000, "upsampling_ratios": [8, 5, 4, 2]}
ENCODEC_32K = ENCODEC | {"sampling_rate": 32_000, "upsampling_ratios": [8, 5, 4, 4]}
TINY_CODEC = ENCODEC_16K | {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16, "num_lstm_layers": 1}
SHAPES = {
    "audiogen-medium": Shape(48, 1536, 24, T5_LARGE, ENCODEC_16K),
    "musicgen-small": Shape(24, 1024, 16, T5_BASE, ENCODEC_32K),
    "small": Shape(2, 64, 4, T5_TINY, TINY_CODEC, vocabulary=64, seconds=0.2),
}


# -- a model of random weights, built once ---------------------------------------------------------------------------


def build(shape: Shape, dtype: str) -> TransformersGenerator:
    """Build the model directly in `dtype`; as when tagxai loads a checkpoint, only the decoder's matrices are lower."""
    import torch
    from transformers import (
        EncodecConfig,
        EncodecModel,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )
    from transformers.initialization import no_init_weights

    from tagxai.generators.parts import quiet
    from tagxai.generators.transformers.model import EXACT, TransformersGenerator
    from tagxai.testing.checkpoints import small_tokenizer

    bits = (shape.vocabulary - 1).bit_length()
    with quiet():  # a code more than the vocabulary has is right: it stands where the pattern has none
        codec = EncodecConfig(
            codebook_size=shape.vocabulary,
            target_bandwidths=[shape.codebooks * bits * 50 / 1000],
            use_causal_conv=False,
            **shape.codec,
        )
        decoder = MusicgenDecoderConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            ffn_dim=4 * shape.width,
            num_codebooks=shape.codebooks,
            pad_token_id=shape.vocabulary,
            bos_token_id=shape.vocabulary,
            max_position_embeddings=512,
            dropout=0.0,
        )
        text = T5Config(**shape.text)
        config = MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict())
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(getattr(torch, dtype))
        with quiet(), no_init_weights():
            model = MusicgenForConditionalGeneration(config)
            model.tie_weights()
    finally:
        torch.set_default_dtype(default)
    for name, module in model.named_modules():
        if name.rpartition(".")[2].endswith(tuple(EXACT)):
            module.float()
    torch.manual_seed(0)
    fill(model)
    with quiet():
        model.audio_encoder = EncodecModel(codec)  # its own first weights keep the sound finite
    return TransformersGenerator(model, small_tokenizer())


def fill(model: torch.nn.Module) -> None:
    """Fill matrices from one repeated block of normal numbers: drawing 2 billion would take longer than a pass."""
    import torch

    block = torch.randn((1 << 22) - 3)  # odd, so that rows differ
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                weight.fill_(1.0 if name.endswith("norm.weight") else 0.0)
                continue
            flat, scaled = weight.view(-1), (block * weight.shape[-1] ** -0.5).to(weight.dtype)
            for start in range(0, len(flat), len(scaled)):
                part = flat[start : start + len(scaled)]
                part.copy_(scaled[: len(part)])


# -- stages ----------------------------------------------------------------------------------------------------------


class Stages:
    """The measured work on one model. Each function returns its figures; `positions` are rows times steps."""

    def __init__(self, shape: Shape, dtype: str, out: Path) -> None:
        from tagxai.text.words import words

        started = perf_counter()
        self.generator = build(shape, dtype)
        self.build_seconds = perf_counter() - started
        self.seconds, self.out = shape.seconds, out
        self.clip = self.random_clip(round(shape.seconds * self.generator.frame_rate))
        units = words(self.clip.prompt, self.clip.token_spans, self.clip.tokens)
        self.units = [unit for unit in units if not unit.special]
        assert len(self.units) == len(PROMPT.split()) == 12

    def random_clip(self, frames: int) -> Generation:
        import torch

        from tagxai.contract.values import Generation

        generator = self.generator
        prompt = generator.encode_prompt([PROMPT])
        random = torch.Generator().manual_seed(0)
        return Generation(
            PROMPT,
            prompt.tokens[0],
            prompt.spans[0],
            torch.randint(generator.pad, (generator.codebooks, frames), generator=random),
            torch.zeros(1, 1),
            generator.sample_rate,
            generator.frame_rate,
            generator.delays,
            0,
            "random weights",
            {"guidance_scale": 3.0},
        )

    def warm_up(self) -> None:
        import torch

        with torch.no_grad():
            self.generator.forward(replace(self.clip, codes=self.clip.codes[:, :2]))

    def figures(self, seconds: float, positions: int, calls: int, **more: Any) -> dict[str, Any]:
        return {"seconds": seconds, "positions": positions, "calls": calls, **more}

    def load(self) -> dict[str, Any]:
        layers = self.generator.model.decoder.model.decoder.layers
        from tagxai.contract.workload import weights

        return {
            "seconds": self.build_seconds,
            "weights_gb": weights(self.generator) / 1e9,
            "decoder_parameters": sum(weight.numel() for weight in layers.parameters()),
            "steps": self.clip.steps,
            "tokens": len(self.clip.tokens),
        }

    def generate(self) -> dict[str, Any]:
        started = perf_counter()
        made = self.generator.generate(PROMPT, duration=self.seconds, seed=0, on_progress=say("generate"))
        assert made.steps == self.clip.steps
        return self.figures(perf_counter() - started, 2 * made.steps, made.steps)

    def forward(self) -> dict[str, Any]:
        import torch

        started = perf_counter()
        with torch.no_grad():
            self.generator.forward(self.clip)
        return self.figures(perf_counter() - started, self.clip.steps, 1)

    def audiogenx(self) -> dict[str, Any]:
        from tagxai.methods.audiogenx import AudioGenX

        times, tell = [perf_counter()], say("audiogenx")

        def report(progress: Progress) -> None:
            times.append(perf_counter())
            tell(progress)

        started = times[0]
        found = AudioGenX().attribute(self.generator, self.clip, on_progress=report)
        seconds, epochs = perf_counter() - started, found.diagnostics["epochs"]
        # Two rows, forwards and backwards (gradients of the input cost as much as the pass), and two plain passes.
        return self.figures(
            seconds,
            (4 * int(epochs) + 3) * self.clip.steps,
            3 * int(epochs) + 2,
            epochs=epochs,
            seconds_per_epoch=median(after - before for before, after in pairwise(times)),
        )

    def leave_one_out(self) -> dict[str, Any]:
        from tagxai.scoring import leave_one_out, score

        table = score(self.generator, self.clip, self.units, leave_one_out(12), on_progress=say("leave_one_out"))
        return self.figures(table.seconds, table.rows * self.clip.steps, -(-table.rows // 16))

    def shapley(self) -> dict[str, Any]:
        """Exact Shapley values of the first 8 words; the other 4 are always kept."""
        import torch

        from tagxai import storage
        from tagxai.scoring import ScoreTable, all_subsets, score, shapley

        units, masks = tuple(self.units[:8]), all_subsets(8)
        tables = []
        for number, part in enumerate(masks.chunk(PARTS)):
            file = self.out.with_name(f"{self.out.stem}-shapley-{number}.safetensors")
            if not file.exists():
                table = score(
                    self.generator, self.clip, units, part, on_progress=say(f"shapley, part {number + 1} of {PARTS}")
                )
                storage.write_tensors(
                    file, {"log_prob": table.log_prob, "seconds": torch.tensor(table.seconds, dtype=torch.float64)}
                )
            tables.append(storage.read_tensors(file))
        seconds = sum(table["seconds"].item() for table in tables)
        log_prob = torch.cat([table["log_prob"] for table in tables])
        values = shapley(ScoreTable(units, masks, log_prob, seconds, len(masks)))
        error = (values.sum(0) - (log_prob[-1] - log_prob[0])).abs().max().item()
        rows = len(masks)
        return self.figures(seconds, rows * self.clip.steps, -(-rows // 16), coalitions=rows, efficiency_error=error)

    def input_x_gradient(self) -> dict[str, Any]:
        from tagxai.methods.input_x_gradient import InputXGradient

        started = perf_counter()
        InputXGradient().attribute(self.generator, self.clip)
        return self.figures(perf_counter() - started, 2 * len(self.clip.tokens) * self.clip.steps, 2)


STAGES = ("load", "generate", "forward", "audiogenx", "leave_one_out", "shapley", "input_x_gradient")


def say(stage: str) -> Callable[[Progress], None]:
    started = reported = perf_counter()

    def report(progress: Progress) -> None:
        nonlocal reported
        now = perf_counter()
        if now - reported > 10 or progress.done == progress.total:
            reported = now
            print(f"  {stage}: {progress.done}/{progress.total}, {now - started:.0f} s", file=sys.stderr, flush=True)

    return report


def run_stage(shape: str, dtype: str, stage: str, out: Path, threads: int) -> dict[str, Any]:
    """Run one stage in this process, which has done nothing before."""
    import torch

    torch.set_num_threads(threads)
    stages = Stages(SHAPES[shape], dtype, out)
    if stage != "load":
        stages.warm_up()
    figures = getattr(stages, stage)()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {**figures, "peak_gb": peak, "build_seconds": stages.build_seconds}


# -- all stages, and the table ---------------------------------------------------------------------------------------


def finish(shape: str, dtype: str, wanted: list[str], out: Path, threads: int) -> dict[str, Any]:
    """Run the stages that OUT lacks, each in its own process, and return the figures of all stages."""
    done: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    for stage in wanted:
        if stage in done:
            print(f"{shape} {dtype} {stage}: already there", file=sys.stderr)
            continue
        print(f"{shape} {dtype} {stage} ...", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, "--shape", shape, "--dtype", dtype, "--threads", str(threads)]
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


def h100_seconds(figures: dict[str, Any], parameters: int, layers: int) -> float:
    """The estimate for bfloat16; the module's docstring explains it."""
    arithmetic = 2 * parameters * figures["positions"] / (0.35 * 989e12)
    reading = figures["calls"] * parameters * 2 / (0.6 * 3.35e12)
    return max(arithmetic, reading, figures["calls"] * layers * 30 * 5e-6)


def table(shape: str, results: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "| stage | dtype | seconds | x generate | peak GB | H100, estimated seconds | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for dtype, done in results.items():
        generate, load = done.get("generate"), done.get("load")
        for stage, figures in done.items():
            ratio = f"{figures['seconds'] / generate['seconds']:.3g}" if generate and stage != "load" else ""
            estimate = ""
            if load and dtype == "bfloat16" and "positions" in figures:
                estimate = f"{h100_seconds(figures, load['decoder_parameters'], SHAPES[shape].layers):.2g}"
            more = ""
            if "epochs" in figures:
                more = f"{figures['epochs']:.0f} epochs of {figures['seconds_per_epoch']:.3g} s"
            elif "coalitions" in figures:
                more = f"{figures['coalitions']} coalitions"
            elif "weights_gb" in figures:
                more = (
                    f"{figures['weights_gb']:.3g} GB of weights, {figures['steps']} steps, {figures['tokens']} tokens"
                )
            lines.append(
                f"| {stage} | {dtype} | {figures['seconds']:.3g} | {ratio} | {figures['peak_gb']:.3g} "
                f"| {estimate} | {more} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), nargs="*", default=["bfloat16", "float32"])
    parser.add_argument("--stages", choices=STAGES, nargs="*", default=list(STAGES))
    parser.add_argument("--out", type=Path, default=Path("tagxai-out/full-size"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=STAGES, help=argparse.SUPPRESS)  # in this process: what a child is asked
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    def place(dtype: str) -> Path:
        return arguments.out / f"{arguments.shape}-{dtype}.json"

    if arguments.only:
        (dtype,) = arguments.dtype
        figures = run_stage(arguments.shape, dtype, arguments.only, place(dtype), arguments.threads)
        print(json.dumps(figures))
        return
    results = {
        dtype: finish(arguments.shape, dtype, arguments.stages, place(dtype), arguments.threads)
        for dtype in arguments.dtype
    }
    print("\n".join(table(arguments.shape, results)))
    from importlib.metadata import version

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(
        f"\n{arguments.shape}, random weights, {PROMPT!r}; {platform.machine()}, {arguments.threads} thread(s), "
        f"torch {version('torch')}, commit {commit}"
    )
    missing = [f"{dtype} {stage}" for dtype, done in results.items() for stage in arguments.stages if stage not in done]
    if missing:
        sys.exit(f"failed: {', '.join(missing)}; the same command tries these again")


if __name__ == "__main__":
    main()
