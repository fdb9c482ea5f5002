"""How AudioGenX's defaults are chosen: learning rate, warm start and priors, on the validation split alone.

    uv run python benchmarks/audiogenx_choices.py [--clips 24] [--epochs 10] [--rows "learning rate"] [--json FILE]

Prompts are `X followed by Y` of the validation split; the test split is for reporting and is not looked at. All rows
explain the same clips. `word first` is the share of events whose own word ranks first of all words (`</s>` included) in
the event's own half, with its 95 % Wilson interval. `loss` is AudioGenX's own, with the default L1 weight, of the final
noise-free mask with audio context (lower is better); `paper's` has the paper's L1 weight. `rough` is the mean change of
a mask from one step to the next. Ctrl-C ends the run after the clips that are done.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from tagxai.attribution import Attribution
from tagxai.base import Generator
from tagxai.explaining import load_generator, make_method
from tagxai.methods.audiogenx.objective import PAPER_ALPHA
from tagxai.tiny.grammar import Mention, Prompt, prompts
from tagxai.types import Generation

RATES = (0.3, 0.5, 1.0)
WARM_STARTS = (None, "attention", "gradient")


def rows() -> dict[str, dict[str, Any]]:
    """Each row's settings of AudioGenX."""
    return {
        **{
            f"learning rate {rate:g}, warm start {start}": {"learning_rate": rate, "warm_start": start}
            for rate in RATES
            for start in WARM_STARTS
        },
        "smoothness 0.01": {"smoothness": 0.01},
        "smoothness 0.1": {"smoothness": 0.1},
        "hard concrete": {"distribution": "hard_concrete", "temperature": 2 / 3},
        "no noise": {"noise": False},
        "raw attention": {"method": "cross_attention"},
        "random": {"method": "random"},
    }


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


def explain(
    generator: Generator, clip: Generation, prompt: Prompt, epochs: int, method: str = "audiogenx", **settings: Any
) -> dict[str, Any]:
    """One clip's share of a row."""
    if method == "audiogenx":
        settings = {"epochs": epochs, **settings}
    started = perf_counter()
    found = make_method(method, settings).attribute(generator, clip)
    outcome: dict[str, Any] = {"seconds": perf_counter() - started}
    outcome["first"] = [word_first(found, mention) for mention in prompt.mentions]
    if method == "audiogenx":
        paper, size = found.diagnostics["paper_loss_teacher_forced"], found.to_steps().sum().item()
        outcome["paper_loss"] = paper
        outcome["loss"] = paper + (found.diagnostics["used"]["alpha"] - PAPER_ALPHA) * size
        outcome["epochs"] = found.cost["epochs"]
        outcome["rough"] = found.to_steps().diff(dim=0).abs().mean().item()
    return outcome


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    generator = load_generator("tiny")
    chosen = {name: settings for name, settings in rows().items() if arguments.rows in name}
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    with suppress(KeyboardInterrupt):
        for index, prompt in enumerate(prompts("validation", arguments.clips, arguments.seed, forms=("followed",))):
            clip = generator.generate(prompt.text, seed=arguments.seed + index)
            found = {name: explain(generator, clip, prompt, arguments.epochs, **row) for name, row in chosen.items()}
            for name, outcome in found.items():  # all rows of a clip or none
                outcomes[name].append(outcome)
            print(f"\r{index + 1}/{arguments.clips} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        name: {"word_first": share(first for one in clips for first in one["first"])}
        | {
            key: sum(one[key] for one in clips) / len(clips)
            for key in ("loss", "paper_loss", "epochs", "rough", "seconds")
            if key in clips[0]
        }
        for name, clips in outcomes.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", default="", help="only rows whose name contains this")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    from rich.console import Console
    from rich.table import Table

    results = measure(arguments)
    events = next(iter(results.values()))["word_first"]["of"]
    table = Table(title=f"{events // 2} validation clips, at most {arguments.epochs} epochs")
    for column in ("", "word first", "95 %", "loss", "paper's", "epochs", "rough", "seconds"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in results.items():
        first = row["word_first"]
        numbers = [
            "-" if key not in row else f"{row[key]:.3f}" for key in ("loss", "paper_loss", "epochs", "rough", "seconds")
        ]
        table.add_row(name, f"{first['share']:.3f}", "{:.2f}-{:.2f}".format(*first["interval"]), *numbers)
    Console(width=120).print(table)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    machine = f"{platform.machine()}, commit {commit}, seed {arguments.seed}"
    print(machine)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
