"""The work that `full_size.py` measures on one model: every stage once, with its passes."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from full_size_latent_shapes import LATENT_SHAPES
from full_size_latents import LatentStages
from full_size_shapes import SHAPES, Shape, build

if TYPE_CHECKING:
    from tagxai.contract.values import Generation, Progress

PROMPT = "a dog bark while rain fall then bird sing followed by thunder"  # 12 words, one token each, and </s>
PARTS = 8  # of Shapley's coalitions


class Stages:
    """The measured work on one model. Each function returns its figures; `positions` are rows times steps."""

    def __init__(self, shape: Shape, dtype: str, out: Path) -> None:
        from tagxai.text.words import words

        started = perf_counter()
        self.generator = build(shape, dtype)
        self.build_seconds = perf_counter() - started
        self.seconds, self.out = shape.seconds, out
        self.clip = self.random_clip(round(shape.seconds * self.generator.frame_rate))
        units = words(self.clip.prompt, self.clip.spans, self.clip.tokens)
        self.units = [unit for unit in units if not unit.special]
        assert len(self.units) == len(PROMPT.split()) == 12

    def random_clip(self, frames: int) -> Generation:
        import torch

        from tagxai.contract.values import Generation

        generator = self.generator
        prompt = generator.encode_prompt([PROMPT])
        random = torch.Generator().manual_seed(0)
        return Generation(
            prompt=PROMPT,
            tokens=prompt.tokens[0],
            spans=prompt.spans[0],
            waveform=torch.zeros(1, 1),
            sample_rate=generator.sample_rate,
            timeline=generator.timeline(frames / generator.frame_rate),
            seed=0,
            generator="random weights",
            record={"codes": torch.randint(generator.pad, (generator.codebooks, frames), generator=random)},
            settings={"guidance_scale": 3.0},
        )

    def warm_up(self) -> None:
        import torch

        with torch.no_grad():
            self.generator.forward(self.random_clip(2))

    def figures(self, seconds: float, positions: int, calls: int, **more: Any) -> dict[str, Any]:
        return {"seconds": seconds, "positions": positions, "calls": calls, **more}

    def load(self) -> dict[str, Any]:
        from tagxai.contract.workload import stored_bytes

        layers = self.generator.model.decoder.model.decoder.layers
        return {
            "seconds": self.build_seconds,
            "weights_gb": stored_bytes(self.generator) / 1e9,
            "decoder_parameters": sum(weight.numel() for weight in layers.parameters()),
            "sequence": self.clip.positions,
        }

    def generate(self) -> dict[str, Any]:
        started = perf_counter()
        made = self.generator.generate(PROMPT, duration=self.seconds, seed=0, on_progress=say("generate"))
        assert made.positions == self.clip.positions
        return self.figures(perf_counter() - started, 2 * made.positions, made.positions)

    def forward(self) -> dict[str, Any]:
        import torch

        started = perf_counter()
        with torch.no_grad():
            self.generator.forward(self.clip)
        return self.figures(perf_counter() - started, self.clip.positions, 1)

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
            (4 * int(epochs) + 3) * self.clip.positions,
            3 * int(epochs) + 2,
            epochs=epochs,
            seconds_per_epoch=median(after - before for before, after in pairwise(times)),
        )

    def leave_one_out(self) -> dict[str, Any]:
        from tagxai.scoring import leave_one_out, score

        table = score(self.generator, self.clip, self.units, leave_one_out(12), on_progress=say("leave_one_out"))
        return self.figures(table.seconds, table.rows * self.clip.positions, -(-table.rows // 16))

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
        return self.figures(
            seconds, rows * self.clip.positions, -(-rows // 16), coalitions=rows, efficiency_error=error
        )

    def input_x_gradient(self) -> dict[str, Any]:
        from tagxai.methods.input_x_gradient import InputXGradient

        started = perf_counter()
        InputXGradient().attribute(self.generator, self.clip)
        return self.figures(perf_counter() - started, 2 * len(self.clip.tokens) * self.clip.positions, 2)


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


def run_stage(shape: str, dtype: str, stage: str, out: Path, threads: int, cpu: bool = False) -> dict[str, Any]:
    """Run one stage in this process, which has done nothing before."""
    import torch

    torch.set_num_threads(threads)
    latent = LATENT_SHAPES.get(shape)
    stages = Stages(SHAPES[shape], dtype, out) if latent is None else LatentStages(latent, dtype, cpu)
    if stage != "load":
        stages.warm_up()
    figures = getattr(stages, stage)()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {**figures, "peak_gb": peak, "build_seconds": stages.build_seconds}
