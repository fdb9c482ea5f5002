"""Does a flow do what it was asked? Its figures beside their bars, as JSON.

    uv run python benchmarks/latent_model_card.py OUT/weights --split validation --clips 120

Prompts, judge and meters are those of the first embedded model, and so is everything about the sound but the flow.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float
from tiny_model_card import styled
from torch import Tensor

from tagxai.laboratory import WEIGHTS
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.events import attributes, bars, judge
from tagxai.laboratory.judging.interventions import Synthesiser, intervene
from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.latent_flow import LatentFlow
from tagxai.laboratory.latent_sampling import trajectory
from tagxai.laboratory.sounds.splits import Split
from tagxai.laboratory.sounds.styles import VALUES

BARS: dict[str, tuple[str, float]] = {
    "recall": (">=", 0.95),
    "false_presence": ("<=", 0.03),
    "order": (">=", 0.95),
    "negation": (">=", 0.9),
    **{f"attribute_{kind}": (">=", 0.8) for kind in VALUES},
    "causal_confirmation": (">=", 0.95),
}
"""What the flow has to reach on held-out combinations."""

BATCH = 48


def synthesiser(flow: LatentFlow, **sampling: Any) -> Synthesiser:
    """The flow between the shipped text encoder and the shipped decoder: texts and a seed to clips.

    A text's noise depends on its place in the list alone.
    """
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    model = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    codec: Any = model.audio_encoder

    @torch.inference_mode()
    def make(texts: Sequence[str], seed: int) -> Float[Tensor, "batch samples"]:
        generator, clips = torch.Generator().manual_seed(seed), []
        for start in range(0, len(texts), BATCH):
            inputs = tokenizer(list(texts[start : start + BATCH]), padding=True, return_tensors="pt")
            text = model.text_encoder(**inputs).last_hidden_state
            noise = torch.randn(len(text), flow.config.frames, flow.config.dim, generator=generator)
            *_, latents = trajectory(flow, noise, text, inputs.attention_mask.bool(), **sampling)
            clips.append(codec.decoder((latents * flow.scale).transpose(1, 2))[:, 0])
        return torch.cat(clips)

    return make


def tried(make: Synthesiser, split: Split, clips: int = 120, seed: int = 0, causal: bool = False) -> dict[str, Any]:
    """All figures; a third of `clips` is made once more for the interventions, where asked, three clips an event."""
    detector, asked = EventDetector.load(), prompts(split, clips, seed)
    alone = styled(split, max(1, clips // 4), seed + 1)
    began = time.perf_counter()
    judged = judge(detector, asked, make([prompt.text for prompt in asked], seed))
    pace = (time.perf_counter() - began) / clips
    measured = attributes(detector, alone, make([prompt.text for prompt in alone], seed + 1))
    figures: dict[str, Any] = {
        **{name: judged[name] for name in ("recall", "false_presence", "order", "negation")},
        **{f"attribute_{kind}": measured.get(kind) for kind in VALUES},
    }
    if causal:
        table = intervene(detector, make, asked[: max(1, clips // 3)], np.random.default_rng(seed), seed)
        figures["causal_confirmation"] = round(sum(row.confirmed for row in table) / len(table), 4)
    limits = {name: bar for name, bar in BARS.items() if name in figures}
    return {
        "split": split,
        "seed": seed,
        "bars": bars(figures, limits),
        "generated": judged,
        "attributes": measured,
        "seconds_per_clip_in_batches": round(pace, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="folder with model.safetensors and config.json")
    parser.add_argument("--clips", type=int, default=120, help="number of prompts (default: 120)")
    parser.add_argument("--split", choices=get_args(Split), default="validation", help="default: validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--causal", action="store_true", help="interventions, too")
    parser.add_argument("--guidance", type=float, help="default: the model's own")
    parser.add_argument("--steps", type=int, help="default: the model's own")
    parser.add_argument("--shift", type=float, help="default: the model's own")
    options = parser.parse_args()
    if not (options.weights / "model.safetensors").is_file():
        parser.error(f"no flow in {options.weights}; expected a folder that the training wrote")
    make = synthesiser(
        LatentFlow.load(options.weights), guidance=options.guidance, steps=options.steps, shift=options.shift
    )
    print(json.dumps(tried(make, options.split, options.clips, options.seed, options.causal), indent=2))


if __name__ == "__main__":
    main()
