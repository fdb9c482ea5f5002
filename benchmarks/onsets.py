"""When does the model need a word? Of an event's windows of 0.4 s, in how many it stops if its words are cut there.

    uv run python benchmarks/onsets.py [--clips 30] [--seed 880088]

Test prompts of the embedded model. A window counts in which the event is heard, its words acting by their own tokens;
it is the first of the event's windows, one after silence (a new onset), or one in which the sound goes on. The last
lines give the average precision of an explanation that knows each event's exact interval, from its first frame to its
last, strict and three-valued.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import torch

from tagxai.explaining.loading import load_generator
from tagxai.laboratory.judging.needed_now import WINDOW
from tagxai.laboratory.language.streams import prompts
from tagxai.metrics.families.word_time import average_precision
from tagxai.metrics.intervals import mean_interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--seed", type=int, default=880088)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_generator("tiny")
    size = round(WINDOW * generator.frame_rate)
    needed: dict[str, list[float]] = defaultdict(list)
    interval: dict[str, list[float]] = defaultdict(list)
    for index, prompt in enumerate(prompts("test", options.clips, options.seed)):
        clip = generator.generate(prompt.text, seed=options.seed + index)
        known = generator.truth(clip)
        heard, now = generator.truth(clip, "attention"), generator.truth(clip, "now")
        if known is None or heard is None or now is None:
            continue
        if known.mask.any():
            exact = (known.mask | known.gaps).float()
            for gaps, (mask, scored) in (
                ("strict", known.rows("event", len(exact))),
                ("three-valued", known.cells("event", len(exact))),
            ):
                interval[gaps].append(average_precision(exact, mask, scored))
        rows = {word.event: row for row, word in enumerate(heard.words) if word.event is not None and word.causal}
        for row in rows.values():
            before = None
            for start in range(0, clip.frames, size):
                sounds = heard.mask[row, start : start + size]
                if sounds.any():
                    quiet = not heard.mask[row, max(0, start - 2) : start].any()
                    kind = "first" if before is None else "onset after silence" if quiet else "goes on"
                    needed[kind].append(float(now.mask[row, start : start + size].any()))
                    before = start
    print("| window | needs the word | of |\n|---|---|---|")
    for kind, values in needed.items():
        print(f"| {kind} | {mean_interval(torch.tensor(values), bounds=(0.0, 1.0)).text(2)} | {len(values)} |")
    for gaps, found in interval.items():
        text = mean_interval(torch.tensor(found), bounds=(0.0, 1.0)).text()
        print(f"\nThe exact intervals have average precision {text}, {gaps}.")
    print(f"\n{options.clips} test prompts, seed {options.seed}; intervals over windows")


if __name__ == "__main__":
    main()
