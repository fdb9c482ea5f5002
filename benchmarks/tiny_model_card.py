"""Does an embedded model do what it is asked? All figures of its model card, as JSON.

    uv run python benchmarks/tiny_model_card.py --clips 240 --brief
    uv run python benchmarks/tiny_model_card.py --model latent --clips 120 --brief

Prompts come from the test split: training included none of their combinations of events, and none of their sentences
about a single event. The judge is the event detector; attributes are measured on the sound. Both are first tested on
synthesised clips of the same prompts.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tagxai.contract.truth import Level
from tagxai.laboratory import WEIGHTS
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.events import Tally, attributes, bars, judge
from tagxai.laboratory.judging.meters import boundaries
from tagxai.laboratory.language.prompt import Prompt
from tagxai.laboratory.language.streams import prompts, stream
from tagxai.laboratory.sounds.splits import Split
from tagxai.laboratory.sounds.styles import VALUES

if TYPE_CHECKING:
    from transformers import MusicgenForConditionalGeneration, PreTrainedTokenizerBase

BARS: dict[str, tuple[str, float]] = {
    "recall": (">=", 0.95),
    "false_presence": ("<=", 0.03),
    "order": (">=", 0.95),
    "negation": (">=", 0.9),
    **{f"attribute_{kind}": (">=", 0.85) for kind in ("level", "rate", "pitch", "distance", "count")},
    "causal_confirmation": (">=", 0.95),
    "detector_accuracy": (">=", 0.98),
}
"""What the model has to reach on held-out combinations."""

BATCH = 48

LEVELS: tuple[Level, ...] = ("word", "attention")


@torch.inference_mode()
def generate(
    model: "MusicgenForConditionalGeneration",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    seed: int = 0,
    **sampling: Any,
) -> Float[Tensor, "batch samples"]:
    """Sample clips of 3 s, one per text."""
    clips = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for start in range(0, len(texts), BATCH):
            inputs = tokenizer(list(texts[start : start + BATCH]), padding=True, return_tensors="pt")
            mask = inputs.attention_mask
            clips.append(model.generate(input_ids=inputs.input_ids, attention_mask=mask, **sampling)[:, 0])
    return torch.cat(clips)


def synthesised(asked: Sequence[Prompt], seed: int) -> Float[Tensor, "batch samples"]:
    """Synthesise what the prompts describe, by the procedures that the model was trained on."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([prompt.scene.render(rng).waveform for prompt in asked]))


def styled(split: Split, each: int, seed: int) -> list[Prompt]:
    """Prompts whose events sound alone, until there are `each` attributes of every kind: counts are rare."""
    missing, found = dict.fromkeys(VALUES, each), []
    for prompt in stream(split, seed, forms=("single", "followed")):
        kinds = [attribute.kind for mention in prompt.present for attribute in mention.attributes]
        if any(missing[kind] > 0 for kind in kinds):
            found.append(prompt)
            for kind in kinds:
                missing[kind] -= 1
        if max(missing.values()) <= 0:
            break
    return found


@torch.inference_mode()
def reconstructed(
    model: "MusicgenForConditionalGeneration", waveform: Float[Tensor, "batch samples"]
) -> Float[Tensor, "batch samples"]:
    """The clips after the codec's encoder and decoder."""
    codec: Any = model.audio_encoder
    parts = []
    for part in waveform.split(BATCH):
        codes = codec.encode(part[:, None]).audio_codes
        parts.append(codec.decode(codes, [None] * len(part)).audio_values[:, 0])
    return torch.cat(parts)


@torch.inference_mode()
def hearing(
    detector: EventDetector, asked: Sequence[Prompt], waveform: Float[Tensor, "batch samples"]
) -> dict[str, float]:
    """The detector on clips whose events are known: accuracy over clips and events, recall, precision."""
    heard = detector.present(waveform)
    true = torch.tensor([[event in prompt.events for event in detector.events] for prompt in asked])
    right = heard.eq(true).float()
    shares = {
        "accuracy": right.mean(),
        "recall": right[true].mean(),
        "precision": right[heard].mean(),
        "clips_all_right": right.amin(1).mean(),
    }
    return {name: round(float(value), 4) for name, value in shares.items()}


def evaluate(
    weights: Path = WEIGHTS, clips: int = 240, split: Split = "test", seed: int = 0, **sampling: object
) -> dict[str, Any]:
    """All figures. A third of `clips` is generated again for the interventions, with three clips per event."""
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    from tagxai.generators.tiny import TinyGenerator
    from tagxai.laboratory.judging.interventions import direct_share, intervene, word_effect
    from tagxai.laboratory.judging.truth import truth

    def say(what: str) -> None:
        print(f"{time.perf_counter() - began:6.1f} s  {what}", file=sys.stderr, flush=True)

    began = time.perf_counter()
    detector, limits = EventDetector.load(weights), boundaries(weights)
    model = MusicgenForConditionalGeneration.from_pretrained(weights, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(weights)

    def make(texts: Sequence[str], seed: int) -> Float[Tensor, "batch samples"]:
        return generate(model, tokenizer, texts, seed, **sampling)

    asked = prompts(split, clips, seed)
    alone = styled(split, max(1, clips // 4), seed + 1)
    say("synthesised clips")
    original = synthesised(asked, seed)
    codec = reconstructed(model, original)
    ears = hearing(detector, asked, original)
    meters = attributes(detector, alone, reconstructed(model, synthesised(alone, seed)), limits)
    say("generated clips")
    once = time.perf_counter()
    made = make([prompt.text for prompt in asked], seed)
    pace = (time.perf_counter() - once) / clips
    judged = judge(detector, asked, made)
    measured = attributes(detector, alone, make([prompt.text for prompt in alone], seed + 1), limits)
    say("interventions")
    few = asked[: max(1, clips // 3)]
    table = intervene(detector, make, few, np.random.default_rng(seed), seed)
    confirmed = sum(row.confirmed for row in table) / len(table)
    say("effects")
    generator, effects, through = TinyGenerator.load(str(weights)), [], Tally()
    for prompt in few[:40]:
        clip = generator.generate(prompt.text, seed=seed)
        effects += [word_effect(generator, clip, prompt, m, np.random.default_rng(seed)) for m in prompt.present]
        for level in LEVELS:
            found = truth(generator, clip, detector, level)
            assert found is not None
            for word, true in zip(prompt.words(), found.words, strict=True):
                if word.kind == "event" and word.mention is not None and not prompt.mentions[word.mention].absent:
                    through.add(true.causal, level)
    figures: dict[str, Any] = {
        **{name: judged[name] for name in ("recall", "false_presence", "order", "negation")},
        **{f"attribute_{kind}": measured.get(kind) for kind in ("level", "rate", "pitch", "distance", "count")},
        "causal_confirmation": confirmed,
        "detector_accuracy": ears["accuracy"],
    }
    return {
        "split": split,
        "seed": seed,
        "sampling": sampling,
        "bars": bars(figures, BARS),
        "generated": judged,
        "attributes": measured,
        "attributes_of_reconstructed_clips": meters,
        "detector_on_synthesised_clips": ears,
        "codec": {
            "log_mel_distance_nepers": round(
                float((detector.spectrum(codec) - detector.spectrum(original)).abs().mean() * 2), 4
            ),
            "detector_on_reconstructions": hearing(detector, asked, codec),
        },
        "interventions": {
            "confirmed": round(confirmed, 4),
            "of": len(table),
            "mean_probability": {
                case: round(sum(getattr(row, case) for row in table) / len(table), 4)
                for case in ("asked", "replaced", "removed")
            },
            "rows": [row.to_dict() for row in table],
        },
        "direct_share": {
            "of_total_effect": round(direct_share(effects), 4),
            "events": len(effects),
            "total_nats_per_event": round(sum(e.total for e in effects) / len(effects), 2),
            "direct_nats_per_event": round(sum(e.direct for e in effects) / len(effects), 2),
            "event_words_confirmed": {level: through.mean(level) for level in LEVELS},
        },
        "seconds_per_clip_in_batches": round(pace, 4),
    }


SAMPLING = {
    "tiny": ("guidance_scale", "top_k", "temperature"),
    "latent": ("guidance_scale", "denoising_steps", "shift"),
}
"""Options for how clips are sampled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(SAMPLING), default="tiny", help="the embedded model (default: tiny)")
    parser.add_argument("--weights", type=Path, help="model folder (default: the one in the package)")
    parser.add_argument("--clips", type=int, default=240, help="number of prompts (default: 240)")
    parser.add_argument("--interventions", type=int, help="of latent; prompts changed (default: a third, at least 40)")
    parser.add_argument("--split", choices=("test", "validation", "train"), default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--brief", action="store_true", help="omit the rows of the intervention table")
    parser.add_argument("--guidance-scale", type=float, help="default: the model's own")
    parser.add_argument("--top-k", type=int, help="of tiny; default: the model's own")
    parser.add_argument("--temperature", type=float, help="of tiny; default: the model's own")
    parser.add_argument("--denoising-steps", type=int, help="of latent; default: the model's own")
    parser.add_argument("--shift", type=float, help="of latent; default: the model's own")
    options = parser.parse_args()
    if options.weights is not None and not (options.weights / "model.safetensors").is_file():
        parser.error(
            f"no model in {options.weights}; expected a folder that `python -m tagxai.laboratory.train` exported"
        )
    for name, smallest in (("clips", 3), ("interventions", 1), ("seed", 0), ("top_k", 0), ("denoising_steps", 4)):
        value = getattr(options, name)
        if value is not None and value < smallest:
            parser.error(f"--{name.replace('_', '-')} takes {smallest} or more, not {value}")
    for name in ("temperature", "shift"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            parser.error(f"--{name} takes a number above 0, not {value}")
    if options.guidance_scale is not None and not math.isfinite(options.guidance_scale):
        parser.error(f"--guidance-scale takes a number, not {options.guidance_scale}")
    if options.interventions is not None and options.model != "latent":
        parser.error(f"--interventions is not for --model {options.model}")
    every = dict.fromkeys(name for names in SAMPLING.values() for name in names)
    sampling = {name: getattr(options, name) for name in every if getattr(options, name) is not None}
    for name in sampling:
        if name not in SAMPLING[options.model]:
            parser.error(f"--{name.replace('_', '-')} is not for --model {options.model}")
    if options.model == "latent":
        import latent_card

        asked = prompts(options.split, options.clips, options.seed)
        alone = styled(options.split, max(1, options.clips // 4), options.seed + 1)
        many = options.interventions or max(40, options.clips // 3)
        changed = prompts(options.split, many, options.seed)
        figures = latent_card.evaluate(options.weights, asked, alone, changed, options.split, options.seed, **sampling)
    else:
        figures = evaluate(options.weights or WEIGHTS, options.clips, options.split, options.seed, **sampling)
    if options.brief:
        del figures["interventions"]["rows"]
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
