"""Does the embedded model say what it was asked? Event recall and order on generated clips of held-out prompts.

    python -m tagxai.tiny.evaluate --clips 60

prints the figures as JSON. The judge is the event detector; its own recall on synthesised clips is in the model card.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from tagxai.tiny import WEIGHTS
from tagxai.tiny.detector import EventDetector
from tagxai.tiny.grammar import Prompt, prompts
from tagxai.tiny.splits import Split

if TYPE_CHECKING:
    from transformers import MusicgenForConditionalGeneration, PreTrainedTokenizerBase


@torch.inference_mode()
def generate(
    model: "MusicgenForConditionalGeneration",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    seed: int = 0,
    **sampling: Any,
) -> Float[Tensor, "batch samples"]:
    """Sampled clips of 3 s, one per text."""
    inputs = tokenizer(list(texts), padding=True, return_tensors="pt")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return model.generate(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, **sampling)[:, 0]


def judge(
    detector: EventDetector, asked: Sequence[Prompt], waveform: Float[Tensor, "batch samples"]
) -> dict[str, object]:
    """Recall per form and event, events heard that nobody asked for, and the order of `followed` prompts.

    An order counts as right only if both events are heard and the first one earlier.
    """
    heard, centre = detector.present(waveform), detector.centre(waveform)
    hits, right, extra = defaultdict(list), [], 0
    for row, prompt in enumerate(asked):
        index = [detector.events.index(event) for event in prompt.events]
        for event, i in zip(prompt.events, index, strict=True):
            for key in ("all", prompt.form, event):
                hits[key].append(float(heard[row, i]))
        extra += int(heard[row].sum()) - int(heard[row, index].sum())
        if prompt.form == "followed":
            right.append(float(heard[row, index].all() and centre[row, index[0]] < centre[row, index[1]]))

    def mean(values: list[float]) -> float:
        return round(sum(values) / len(values), 3) if values else float("nan")

    return {
        "clips": len(asked),
        "recall": mean(hits.pop("all")),
        "order": mean(right),
        "unasked_events_per_clip": round(extra / max(1, len(asked)), 3),
        "recall_by": {key: mean(values) for key, values in sorted(hits.items())},
    }


def evaluate(
    weights: Path = WEIGHTS, clips: int = 60, split: Split = "test", seed: int = 0, **sampling: object
) -> dict[str, object]:
    """Generate `clips` clips for prompts of a split and judge them."""
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    model = MusicgenForConditionalGeneration.from_pretrained(weights).eval()
    tokenizer = AutoTokenizer.from_pretrained(weights)
    asked = prompts(split, clips, seed)
    waveform = generate(model, tokenizer, [prompt.text for prompt in asked], seed, **sampling)
    return judge(EventDetector.load(weights), asked, waveform)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Event recall and order on generated clips of held-out prompts, as JSON."
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="model folder (default: the one in the package)")
    parser.add_argument("--clips", type=int, default=60, help="number of clips (default: 60)")
    parser.add_argument("--split", choices=("test", "validation", "train"), default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    parser.add_argument("--top-k", type=int, default=250)
    parser.add_argument("--temperature", type=float, default=1.0)
    options = parser.parse_args()
    sampling = {"guidance_scale": options.guidance_scale, "top_k": options.top_k, "temperature": options.temperature}
    print(json.dumps(evaluate(options.weights, options.clips, options.split, options.seed, **sampling), indent=2))


if __name__ == "__main__":
    main()
