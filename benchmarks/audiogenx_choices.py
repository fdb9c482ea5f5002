"""How AudioGenX's defaults are chosen: learning rate, warm start and priors, on the validation split only.

    uv run python benchmarks/audiogenx_choices.py [--clips 24] [--epochs 10] [--rows "L1 weight"] [--json FILE]

Prompts come from the validation split; the test split is for reporting and is not used here. All rows explain the same
clips: those for which the truth knows an event word. hit@1, pointing game, mass accuracy and average precision are for
event words, as in laboratory.py. `loss` is AudioGenX's own loss, with the row's L1 weight, of the final noise-free mask
with audio context (lower is better); `paper's` uses the paper's L1 weight. `rough` is the mean change of a mask from
one position to the next. Ctrl-C ends the run and reports the clips finished so far.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import Any

import torch
from machine import machine

from tagxai.contract.generator import Generator
from tagxai.contract.truth import Truth
from tagxai.contract.values import Generation
from tagxai.explaining.loading import load_generator, make_method
from tagxai.laboratory.language.streams import prompts
from tagxai.methods.audiogenx.objective import PAPER_ALPHA
from tagxai.metrics.best_word import hit
from tagxai.metrics.families.localisation import align
from tagxai.metrics.families.word_time import average_precision, pointing_game, relevance_mass

METRICS = {
    "hit@1": hit,
    "pointing game": pointing_game,
    "mass accuracy": relevance_mass,
    "average precision": average_precision,
}
RATES = (0.5, 1.0, 1.5)
WARM_STARTS = ("half", "attention", "gradient", "value_zeroing")
BEFORE = {
    "learning_rate": 1.0,
    "adam_beta1": 0.9,
    "alpha": 2e-2,
    "smoothness": 0.0,
    "noise": True,
    "warm_start": "half",
}
"""The defaults until the sampling noise was found to cost average precision."""


def rows() -> dict[str, dict[str, Any]]:
    """The AudioGenX settings of each row."""
    return {
        **{
            f"learning rate {rate:g}, warm start {start}": {"learning_rate": rate, "warm_start": start}
            for rate in RATES
            for start in WARM_STARTS
        },
        **{f"L1 weight {alpha:g}": {"alpha": alpha} for alpha in (1e-3, 1e-2, 2e-2, 2.5e-2, 3e-2, 5e-2, 1e-1)},
        **{f"smoothness {weight:g}": {"smoothness": weight} for weight in (0.0, 0.01, 0.03)},
        **{f"start scale {scale:g}": {"start_scale": scale} for scale in (0.25, 0.5, 1.0)},
        "likelihood": {"similarity": "likelihood"},
        "default": {},
        "before": BEFORE,
        "hard concrete": {"distribution": "hard_concrete", "temperature": 2 / 3},
        "before, no noise": {**BEFORE, "noise": False},
        "noise": {"noise": True},
        "raw attention": {"method": "cross_attention"},
        "random": {"method": "random"},
    }


def explain(
    generator: Generator, clip: Generation, truth: Truth, epochs: int, method: str = "audiogenx", **settings: Any
) -> dict[str, float]:
    """Explain one clip for one row."""
    if method == "audiogenx":
        settings = {"epochs": epochs, **settings}
    started = process_time()
    found = make_method(method, settings).attribute(generator, clip)
    outcome = {"seconds": process_time() - started}
    scores, mask, scored = align(found, truth, "event")
    outcome |= {name: metric(scores, mask, scored) for name, metric in METRICS.items()}
    if method == "audiogenx":
        paper, size = found.diagnostics["paper_loss_teacher_forced"], found.to_positions().sum().item()
        outcome["paper_loss"] = paper
        outcome["loss"] = paper + (found.settings["alpha"] - PAPER_ALPHA) * size
        outcome["epochs"] = found.diagnostics["epochs"]
        outcome["rough"] = found.to_positions().diff(dim=0).abs().mean().item()
    return outcome


def measure(arguments: argparse.Namespace) -> tuple[dict[str, dict[str, float]], int]:
    """The means of each row, and the number of clips that they average."""
    generator = load_generator("tiny")
    chosen = {name: settings for name, settings in rows().items() if arguments.rows in name}
    if not chosen:
        sys.exit(f"no row's name contains {arguments.rows!r}; choices: {', '.join(rows())}")
    outcomes: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    with suppress(KeyboardInterrupt):
        for index, prompt in enumerate(prompts("validation", arguments.clips, arguments.seed)):
            clip = generator.generate(prompt.text, seed=arguments.seed + index)
            truth = generator.truth(clip)
            assert truth is not None
            if not any(word.causal and word.kind == "event" for word in truth.words):
                continue
            found = {name: explain(generator, clip, truth, arguments.epochs, **row) for name, row in chosen.items()}
            for name, outcome in found.items():  # all rows of a clip or none
                outcomes[name].append(outcome)
            print(f"\r{index + 1}/{arguments.clips} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    clips = min(map(len, outcomes.values()))
    if not clips:
        sys.exit("no clip was done, so there is nothing to compare")
    return {
        name: {key: sum(one[key] for one in found) / len(found) for key in found[0]} for name, found in outcomes.items()
    }, clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", default="", help="run only rows whose name contains this")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    from rich.console import Console
    from rich.table import Table

    results, clips = measure(arguments)
    table = Table(title=f"{clips} validation clips, at most {arguments.epochs} epochs")
    columns = {name: name for name in METRICS} | {"loss": "loss", "paper_loss": "paper's"}
    columns |= {name: name for name in ("epochs", "rough", "seconds")}
    for column in ("", *columns.values()):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in results.items():
        table.add_row(name, *("-" if key not in row else f"{row[key]:.3f}" for key in columns))
    Console(width=140).print(table)
    where = f"{machine(torch.get_num_threads())}, seed {arguments.seed}"
    print(where)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": where, "clips": clips, "rows": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
