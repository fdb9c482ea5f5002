"""Exact shapes of models that denoise latents, with random weights: what `full_size.py` measures of them.

A pass takes so long on a CPU that each stage times a part whose repeats are all alike, and multiplies: one step of
denoising of all, one of the recorded noise levels, one epoch, one coalition beside the whole prompt, a prompt of one
word. `timed` is what was really run, in rows of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from full_size_latent_shapes import LatentShape, build_latent

if TYPE_CHECKING:
    from tagxai.contract.values import Generation

PROMPT = "a dog bark while rain fall then bird sing followed by thunder"  # 12 words, one token each, and </s>
LEVELS, EPOCHS = 4, 10  # as explained by default: recorded noise levels, AudioGenX's epochs


class LatentStages:
    """The measured work on one model, in seconds of the wall or of one thread's CPU. `positions` are rows times
    queries, of what the seconds stand for."""

    def __init__(self, shape: LatentShape, dtype: str, cpu: bool = False) -> None:
        self.clock = process_time if cpu else perf_counter
        started = self.clock()
        self.generator, self.shape = build_latent(shape, dtype), shape
        self.build_seconds = self.clock() - started
        self.clip = self.random_clip(PROMPT)
        before = getattr(self.generator.transformer.config, "num_memory_tokens", 1)  # or the global token
        self.queries = len(self.clip.record["latents"]) + before

    def random_clip(self, prompt: str) -> Generation:
        import torch

        from tagxai.contract.values import Generation

        generator = self.generator
        read, random = generator.encode_prompt([prompt]), torch.Generator().manual_seed(0)
        timeline = generator.timeline(min(self.shape.seconds, generator.max_duration))
        canvas = torch.randn(2, generator.canvas(timeline), generator.width, generator=random)
        return Generation(
            prompt=prompt,
            tokens=read.tokens[0],
            spans=read.spans[0],
            waveform=torch.zeros(1, 1),
            sample_rate=generator.sample_rate,
            timeline=timeline,
            seed=0,
            generator="random weights",
            record={"latents": canvas[0], "trajectory": canvas[1:], "levels": torch.tensor([0.9])},
            settings={"guidance_scale": 7.0},
        )

    def _scaled(
        self, work: Callable[[], object], times: float, rows: float, calls: float, **more: Any
    ) -> dict[str, Any]:
        started = self.clock()
        work()
        timed = self.clock() - started
        return {
            "seconds": timed * times,
            "positions": round(rows * self.queries),
            "calls": round(calls),
            "timed_seconds": timed,
            **more,
        }

    def warm_up(self) -> None:
        """Nothing: a pass is long enough to hide what the first one costs besides."""

    def load(self) -> dict[str, Any]:
        from tagxai.contract.workload import stored_bytes

        return {
            "seconds": self.build_seconds,
            "weights_gb": stored_bytes(self.generator) / 1e9,
            "decoder_parameters": sum(weight.numel() for weight in self.generator.layers.parameters()),
            "sequence": self.queries,
        }

    def generate(self) -> dict[str, Any]:
        """One step of all, under guidance where the model has it; without decoding."""
        import torch

        steps, branch = self.shape.steps, self.shape.branch
        rows = 2 if branch == "guided" else 1

        def step() -> None:
            with torch.no_grad():
                self.generator.forward(self.clip, branch=branch)

        return self._scaled(step, steps, rows * steps, rows * steps, timed=rows)

    def forward(self) -> dict[str, Any]:
        import torch

        def replay() -> None:
            with torch.no_grad():
                self.generator.forward(self.clip)

        return self._scaled(replay, LEVELS, LEVELS, 1, timed=1)

    def audiogenx(self) -> dict[str, Any]:
        """One epoch: two rows forwards, and backwards to the masks."""
        import torch

        from tagxai.contract.attention import edit_attention
        from tagxai.probing.edits import Gate

        clip, generator = self.clip, self.generator
        mask = torch.full((clip.positions, len(clip.tokens)), 0.4, requires_grad=True)
        conditioning = generator.encode_prompt([clip.prompt]).expand(2)

        def epoch() -> None:
            with edit_attention(generator.cross_attention(), Gate(torch.stack([mask, 1 - mask]))):
                hidden = generator.hidden_states(clip, conditioning)
            torch.nn.functional.cosine_similarity(hidden[0], hidden[1].detach(), dim=-1).sum().backward()

        return self._scaled(epoch, LEVELS * EPOCHS, 4 * LEVELS * EPOCHS, 3 * EPOCHS, timed=4, epochs=EPOCHS)

    def leave_one_out(self) -> dict[str, Any]:
        from tagxai.scoring import leave_one_out, score
        from tagxai.text.words import words

        units = [unit for unit in words(self.clip.prompt, self.clip.spans, self.clip.tokens) if not unit.special]
        masks = leave_one_out(len(units))
        found: list[int] = []
        figures = self._scaled(
            lambda: found.append(score(self.generator, self.clip, units, masks[:2]).rows), 1.0, 0, 0, timed=0
        )
        rows = len(masks)
        figures["seconds"] *= LEVELS * rows / found[0]
        return figures | {"positions": rows * LEVELS * self.queries, "calls": -(-rows // 4), "timed": found[0]}

    def input_x_gradient(self) -> dict[str, Any]:
        """Forward mode: a direction for each token, here those of a prompt of one word."""
        from tagxai.methods.input_x_gradient import InputXGradient

        short, tokens = self.random_clip("dog"), len(self.clip.tokens)
        few = len(short.tokens)
        times = LEVELS * tokens / few
        return self._scaled(
            lambda: InputXGradient().attribute(self.generator, short), times, 2 * LEVELS * tokens, 2, timed=2 * few
        )
