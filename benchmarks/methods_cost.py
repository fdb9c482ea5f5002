"""The cost of every method's full result, next to generating the clip, one teacher-forced pass, and captum's way.

    uv run python benchmarks/methods_cost.py [--models tiny small] [--seconds 1] [--repeats 7] [--json FILE]

`tiny` is the embedded model. `small` has the shape of MusicGen-small (24 layers, 1024 wide, 4 codebooks of 2048 codes)
and random weights, at 25 frames per second, which makes no difference to the work. Every row has its own process,
forked from one that has loaded the model. It warms up on the shortest clip and then measures, in turn, the row,
generating its clip, one pass over it, and whatever else the row is compared to. Reported are CPU seconds on `--threads`
threads (default: one), the median and the ends of all repeats, and ratios within a repeat. Expensive rows stop
repeating after `--budget` CPU seconds. Peak memory is the process's highest resident size above that before the row.

"captum, each code" is the direct route to `[streams, frames, words]`: captum, asked for one code after another by
reverse mode or by perturbation. It is measured on a few codes, spread over the clip, and the seconds are scaled up to
all of them; such rows are marked "extrapolated". Its integrated gradients take as many points as ours, and its Kernel
SHAP as many subsets. The rows captum:NAME are captum with its own defaults, for one half-second window after another.
inseq has no row because it cannot explain MusicGen: version 0.7.1 (with transformers 5.23) refuses the model's
configuration by name ("not for this kind of AutoModel: AutoModelForSeq2SeqLM"). Given a loaded model whose config lends
it the special token ids that it asks for, it ends in a TypeError when it decodes the streams of audio codes as text.

The JSON file keeps every row as soon as it is measured; a second run measures only the missing rows (`--fresh` discards
the earlier ones). A Markdown table is written next to it.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any

import torch
from cost_rows import load, prompt_of, references, rows, work
from cost_tables import markdown
from cost_timing import LEAST, interleaved
from machine import machine

from tagxai.errors import TagxaiError, UnknownNameError

FORMAT = 2  # of the JSON file


def measure(
    model: str, row: str, seconds: float, threads: int, repeats: int, budget: float, least: float = LEAST
) -> dict[str, Any]:
    """Seconds of each repeat, peak memory and passes of one row; runs in a new process."""
    torch.set_num_threads(threads)
    generator, prompt = load(model), prompt_of(row)
    short, clip = (generator.generate(prompt, duration=d, seed=0) for d in (2 / generator.frame_rate, seconds))
    works = {name: work(generator, name, seconds) for name in (row, *references(row))}
    for run in works.values():
        run(short)  # warm up: first calls load kernels and libraries
    samples = interleaved(
        partial(works[row], clip),
        {name: partial(works[name], clip) for name in references(row)},
        repeats=repeats,
        budget=budget,
        least=least,
    )
    return {
        "seconds": samples.seconds,
        "references": samples.references,
        "peak_mib": samples.peak_mib,
        "codes": clip.streams * clip.frames,
        **samples.found,
    }


def read(file: Path, seconds: float) -> dict[str, Any]:
    """An earlier run's results. Raises TagxaiError where they cannot be continued."""
    again = f"give --fresh to discard it, or another --json: {file}"
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        if results["format"] != FORMAT or not isinstance(results["models"], dict):
            raise ValueError
    except (ValueError, TypeError, KeyError):
        raise TagxaiError(f"the file of results is damaged, or of another version of this program; {again}") from None
    if results["seconds"] != seconds:
        raise TagxaiError(f"the file of results is of clips of {results['seconds']:g} s, not {seconds:g} s; {again}")
    return dict(results)


def number(text: str, *, kind: type[int] | type[float]) -> Any:
    """An argparse type: a number above 0."""
    try:
        value = kind(text)
    except ValueError:
        value = kind(0)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a {'whole ' * (kind is int)}number above 0, not {text!r}")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole, real = partial(number, kind=int), partial(number, kind=float)
    parser.add_argument("--models", nargs="+", default=["tiny", "small"], help="tiny, small, or NAME:SOURCE")
    parser.add_argument("--seconds", type=real, default=1.0, help="length of the clip (default: 1)")
    parser.add_argument("--threads", type=whole, default=1, help="torch threads (default: 1)")
    parser.add_argument("--repeats", type=whole, default=7, help="samples of a row (default: 7)")
    parser.add_argument("--budget", type=real, default=20.0, help="CPU seconds after which none is begun (default: 20)")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="measure only these rows")
    parser.add_argument("--json", type=Path, default=Path("methods_cost.json"))
    parser.add_argument("--fresh", action="store_true", help="discard the earlier results in that file")
    arguments = parser.parse_args()
    try:
        check(arguments.models, arguments.only or ())
        results = {"format": FORMAT, "seconds": arguments.seconds, "models": {}}
        if arguments.json.is_file() and not arguments.fresh:
            results = read(arguments.json, arguments.seconds)
        if not arguments.json.parent.is_dir():
            raise TagxaiError(f"--json names a file in a folder that does not exist: {arguments.json.parent}")
    except TagxaiError as error:
        sys.exit(str(error))
    context = get_context("fork" if "fork" in get_all_start_methods() else "spawn")
    for model in arguments.models:
        torch.set_num_threads(1)  # a process that has used several threads of OpenMP cannot be forked
        load(model)
        found = results["models"].setdefault(model, {})
        for row in arguments.only or rows():
            if "seconds" in found.get(row, {}):
                continue
            print(f"{model}: {row} ...", file=sys.stderr, flush=True)
            settings = (arguments.seconds, arguments.threads, arguments.repeats, arguments.budget)
            try:
                with ProcessPoolExecutor(1, mp_context=context) as pool:
                    found[row] = pool.submit(measure, model, row, *settings).result()
            except Exception as error:  # one method that cannot work must not end the run
                found[row] = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
            found[row]["machine"] = machine(arguments.threads)
            arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            arguments.json.with_suffix(".md").write_text(markdown(results), encoding="utf-8")
    print(markdown(results))


def check(models: list[str], only: tuple[str, ...] | list[str]) -> None:
    """Raises TagxaiError for a model or a row that does not exist."""
    from tagxai.registering.registry import registry

    for model in models:
        name = model.partition(":")[0]
        if name != "small" and name not in registry().generators:
            raise UnknownNameError("model", name, ["small", *registry().generators])
    for row in only:
        if row not in rows():
            raise UnknownNameError("row", row, rows())


if __name__ == "__main__":
    main()
