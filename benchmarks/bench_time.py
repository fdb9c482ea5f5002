"""The CPU time of `tagxai bench` against that of an earlier commit, in turns, and whether the tables are the same.

    uv run python benchmarks/bench_time.py [--rounds 3] [--prompts 4] [--skip 0] [--metrics cheap generating asking]
        [--methods ...] [--commit 0314d4e] [--checkout FOLDER]

The commit is checked out into a temporary worktree with a virtual environment of its own; `--checkout` names one that
is kept for the next time. Both trees run the methods of that commit and the metrics of the suite `tiny` on the same
prompts, one thread, one process, round after round with other prompts, and take turns in going first. CPU seconds of
the processes are counted, user and system, as the clock of a shared machine says little.

Expensive metrics measure fewer prompts, in about the shares of the suite: of a round of `--prompts`, one for those
that ask a method again (4 of 60 in the suite), two for those that generate (10 of 60). So the ratio leans towards the
expensive metrics where a round has fewer than 15 prompts. `--metrics` names the kinds that are measured, so that each
can be given its own weight: in the suite, the explanations and cheap metrics of 60 prompts, generating ones of 10, and
asking ones of 4. `--skip` leaves out the suite's first prompts.

AudioGenX has other defaults by now: it is given the settings of the earlier commit. Windows of gradients are of equal
length by now: both trees are given one that divides the clip, 0.6 s of 3 s. Values may differ by what the rounding of
another order of additions does; all cells that differ by more are printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
THEN = {  # what the defaults of AudioGenX were at 0314d4e
    "epochs": 10,
    "learning_rate": 1.0,
    "alpha": 0.02,
    "smoothness": 0.0,
    "noise": True,
    "warm_start": "half",
    "adam_beta1": 0.9,
}
WINDOWED = ("attention_grad_cam", "generic_attention", "gradient_x_attention")
GENERATING = ("kl_f", "kl_cf", "fid_f", "fid_cf", "removal_1", "removal_2", "removal_3")
ASKING = ("max_sensitivity", "seed_robustness", "paraphrase_robustness", "other_audio")
RANDOMISING = ("cascading_randomisation", "cross_attention_randomisation", "text_encoder_randomisation")
FEW = {**dict.fromkeys(GENERATING, 2), **dict.fromkeys((*ASKING, *RANDOMISING), 1)}
METRICS = (
    *("hit_at_1", "reciprocal_rank", "pointing_game", "relevance_mass", "relevance_rank", "average_precision"),
    *("roc_auc", "perturbation_curves", "sufficiency", "comprehensiveness", "soft_sufficiency"),
    *("soft_comprehensiveness", "linear_datamodelling", "infidelity", "share_of_optimum"),
    *("mask_size", "gini", "effective_words"),
)
KINDS = {"cheap": METRICS, "generating": GENERATING, "asking": (*ASKING, *RANDOMISING)}
TOLERANCE = 1e-4
Cell = tuple[str, str, str]
"""Prompt, method and metric."""


def python_of(tree: Path) -> Path:
    return tree / ".venv" / "bin" / "python"


def check_out(commit: str, folder: Path) -> None:
    """A worktree of the commit with a virtual environment, unless the folder has them."""
    if not folder.is_dir():
        git = ["git", "-C", str(HERE), "worktree", "add", "--detach", str(folder), commit]
        subprocess.run(git, check=True, capture_output=True)
    if not python_of(folder).exists():
        own = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        subprocess.run(["uv", "sync", "--quiet"], cwd=folder, env=own, check=True)


def ask(tree: Path, program: str) -> list[str]:
    """What a short program prints in a tree's environment, as JSON."""
    given = subprocess.run([python_of(tree), "-c", program], cwd=tree, check=True, capture_output=True, text=True)
    return json.loads(given.stdout)


def methods_of(tree: Path) -> list[str]:
    where = "tagxai.registering.registry" if (tree / "src/tagxai/registering").is_dir() else "tagxai.registry"
    return ask(tree, f"import json\nfrom {where} import registry\nprint(json.dumps(list(registry().methods)))")


def prompts_of(tree: Path, number: int) -> list[str]:
    find = "import json\nfrom tagxai.benchmark.prompts import find_prompts\n"
    return ask(tree, f"{find}print(json.dumps(find_prompts('laboratory:test:{number}')))")


def plan(methods: Sequence[str], prompts: Sequence[str], kinds: Sequence[str], *, names_defaults: bool) -> str:
    """The suite `tiny` with other prompts; TOML takes the strings of JSON."""

    def table(name: str, settings: dict[str, object]) -> str:
        pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
        return f"{{ name = {json.dumps(name)}, label = {json.dumps(name)}{', ' if pairs else ''}{pairs} }}"

    given: dict[str, dict[str, object]] = {name: {"resolution": 0.6} for name in WINDOWED}
    if names_defaults:
        given["audiogenx"] = THEN
    asked = [table(name, given.get(name, {})) for name in methods]
    wanted = [name for kind in KINDS if kind in kinds for name in KINDS[kind]]
    metrics = [table(name, {"prompts": FEW[name]} if name in FEW else {}) for name in wanted]
    lines = {
        "generators": '["tiny"]',
        "methods": f"[{', '.join(asked)}]",
        "metrics": f"[{', '.join(metrics)}]",
        "prompts": json.dumps(list(prompts)),
        "seeds": "[0]",
        "reference": '"audiogenx"',
        "device": '"cpu"',
        "executor": '"local"',
        "threads": "1",
        "time_limit": "600",
    }
    return "\n".join(f"{key} = {value}" for key, value in lines.items()) + "\n"


def run(tree: Path, text: str, folder: Path) -> tuple[float, dict[Cell, str]]:
    """CPU seconds of a benchmark, and its cells: the value, or the error."""
    folder.mkdir(parents=True)
    (folder / "plan.toml").write_text(text, encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [python_of(tree).with_name("tagxai"), "bench", folder / "plan.toml", "--out", folder / "out"]
    command += ["--yes"] if tree == HERE else []  # no trial and no question, as commit 0314d4e
    ended = subprocess.run(command, env=own | {"OMP_NUM_THREADS": "1"}, cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not (folder / "out" / "results.csv").is_file():
        sys.exit(f"{tree}: the benchmark failed:\n{ended.stderr[-2000:]}")
    with (folder / "out" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sentence = "why" if "why" in rows[0] else "error"
    cells = {(row["prompt"], row["method"], row["metric"]): row["value"] or row[sentence] for row in rows}
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, cells


def is_same(one: str, other: str) -> bool:
    try:
        a, b = float(one), float(other)
    except ValueError:  # errors: sentences may have changed
        return _is_number(one) == _is_number(other)
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=4, help="of each round")
    parser.add_argument("--skip", type=int, default=0, help="the first prompts of the suite")
    parser.add_argument("--metrics", nargs="+", default=list(KINDS), choices=list(KINDS), help="kinds of metrics")
    parser.add_argument("--commit", default="0314d4e")
    parser.add_argument("--checkout", type=Path, help="where the worktree of the commit is kept")
    parser.add_argument("--methods", nargs="+", help="some of its methods; default: all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        then = (arguments.checkout or Path(scratch, "then")).resolve()
        try:
            check_out(arguments.commit, then)
            methods = [name for name in arguments.methods or methods_of(then) if name != "random"]
            prompts = prompts_of(HERE, arguments.skip + arguments.rounds * arguments.prompts)[arguments.skip :]
            compare(then, methods, prompts, arguments.metrics, arguments.rounds, Path(scratch))
        finally:
            if arguments.checkout is None:
                subprocess.run(["git", "-C", str(HERE), "worktree", "remove", "--force", str(then)], check=False)


def compare(
    then: Path, methods: Sequence[str], prompts: Sequence[str], kinds: Sequence[str], rounds: int, scratch: Path
) -> None:
    size = len(prompts) // rounds
    total, differing, cells = {"then": 0.0, "now": 0.0}, Counter[str](), 0
    print(f"{len(methods)} methods, {rounds} rounds of {size} prompts")
    for number in range(rounds):
        mine = prompts[number * size : (number + 1) * size]
        order = ("then", "now") if number % 2 == 0 else ("now", "then")
        found = {}
        for which in order:
            text = plan(methods, mine, kinds, names_defaults=which == "now")
            tree = then if which == "then" else HERE
            seconds, found[which] = run(tree, text, scratch / f"{which}{number}")
            total[which] += seconds
            print(f"round {number + 1}, {which}: {seconds:.1f} CPU s", flush=True)
        for key in found["then"].keys() | found["now"].keys():
            one, other = found["then"].get(key, "missing"), found["now"].get(key, "missing")
            cells += 1
            if not is_same(one, other):
                differing[f"{key[1]}, {key[2]}"] += 1
                print(f"    differs: {', '.join(key)}: {one} then, {other} now")
    print(f"now / then: {total['now'] / total['then']:.3f}; {sum(differing.values())} of {cells} cells differ")
    for what, count in sorted(differing.items()):
        print(f"    {what}: {count}")


if __name__ == "__main__":
    main()
