"""First look at the embedded model: does it sound what it is told, and do explanations find the right words?

    uv run python benchmarks/tiny_first_look.py [--clips 60] [--methods audiogenx,cross_attention,random]

Prints JSON. Prompts are of the test split: no event combination, and no sentence about a single event, was trained on.
The event detector judges the generated audio. `word_first` is the share of `followed` events whose own word ranks first
of all words (`</s>` included) in the event's own half of the clip. Intervals are 95 % Wilson score intervals.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterable

import torch

from tagxai.attribution import Attribution
from tagxai.explaining import load_generator, make_method
from tagxai.tiny.detector import EventDetector
from tagxai.tiny.grammar import Mention, Prompt, prompts


def share(outcomes: Iterable[bool]) -> dict[str, float | int | list[float]]:
    """A proportion with its 95 % Wilson score interval."""
    results = list(outcomes)
    n, p, z = len(results), sum(results) / len(results), 1.96
    centre, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = ((centre + sign * spread) / (1 + z * z / n) for sign in (-1, 1))
    return {"share": round(p, 4), "of": n, "interval": [round(low, 4), round(high, 4)]}


def word_first(explanation: Attribution, mention: Mention) -> bool:
    """Whether the best word of the event's own half is one of the event's content words."""
    end = min(mention.end_s, explanation.generation.duration)
    best = max(explanation.per_word(mention.start_s, end), key=lambda score: score.score).unit
    return not best.function and best.start < mention.end_char and best.end > mention.start_char


def look(arguments: argparse.Namespace) -> dict:
    detector = EventDetector.load()
    generator = load_generator("tiny")
    methods = {name: make_method(name) for name in arguments.methods.split(",")}
    clips: list[tuple[Prompt, torch.Tensor]] = []
    first: dict[str, list[bool]] = {name: [] for name in methods}
    seconds: dict[str, float] = dict.fromkeys(["generate", *methods], 0.0)
    for index, prompt in enumerate(prompts("test", arguments.clips, arguments.seed)):
        started = time.perf_counter()
        generation = generator.generate(prompt.text, seed=arguments.seed + index)
        seconds["generate"] += time.perf_counter() - started
        clips.append((prompt, generation.waveform))
        if prompt.form == "followed":
            for name, method in methods.items():
                started = time.perf_counter()
                explanation = method.attribute(generator, generation)
                seconds[name] += time.perf_counter() - started
                first[name] += [word_first(explanation, mention) for mention in prompt.mentions]
        print(f"\r{index + 1}/{arguments.clips} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    heard = detector.present(torch.cat([waveform for _, waveform in clips]))
    centres = detector.centre(torch.cat([waveform for _, waveform in clips]))
    named, unnamed, ordered = [], [], []
    forms: dict[str, list[bool]] = {}
    events: dict[str, list[bool]] = {}
    for (prompt, _), present, centre in zip(clips, heard.tolist(), centres.tolist(), strict=True):
        for event, found in zip(detector.events, present, strict=True):
            if event in prompt.events:
                named.append(found)
                forms.setdefault(prompt.form, []).append(found)
                events.setdefault(event, []).append(found)
            else:
                unnamed.append(found)
        if prompt.form == "followed":
            before, after = (centre[detector.events.index(event)] for event in prompt.events)
            both = all(present[detector.events.index(event)] for event in prompt.events)
            ordered.append(both and before < after)
    followed = sum(prompt.form == "followed" for prompt, _ in clips)
    return {
        "clips": len(clips),
        "event_recall": share(named),
        "event_recall_by_form": {form: share(found) for form, found in forms.items()},
        "event_recall_by_event": {event: share(found) for event, found in sorted(events.items())},
        "false_presence": share(unnamed),
        "followed_in_order": share(ordered),
        "word_first": {name: share(found) for name, found in first.items()},
        "seconds_per_clip": {
            name: round(total / (len(clips) if name == "generate" else followed), 3) for name, total in seconds.items()
        },
        "seed": arguments.seed,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--methods", default="audiogenx,cross_attention,random")
    parser.add_argument("--seed", type=int, default=0)
    print(json.dumps(look(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
