"""Do two models rank methods alike? Kendall's tau of two leaderboards of `laboratory.py`, with an interval.

    uv run python benchmarks/leaderboards_agree.py TINY/laboratory.json LATENT/laboratory.json
        [--metric "average precision"] [--draws 2000] [--seed 0]

Each file holds a model's figures clip by clip; methods that are in both count, controls apart. A method's place is the
mean of its metric over clips, for words of events. The interval resamples the clips of each model (with replacement,
all methods together), which says how much of the agreement is luck of the prompts. Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from laboratory_measures import CONTROLS, METRICS
from scipy.stats import kendalltau

from tagxai import storage
from tagxai.errors import TagxaiError


def figures(path: Path, metric: str) -> dict[str, np.ndarray]:
    """The metric of each method, a number for each clip in which all have one."""
    records = [record["methods"] for record in storage.read_json(path).values()]
    names = [name for name in records[0] if name not in (*CONTROLS, "random")]
    rows = [
        [record[name]["figures"]["event"][metric] for name in names]
        for record in records
        if all(record.get(name) and "event" in record[name]["figures"] for name in names)
    ]
    return dict(zip(names, np.array(rows).T, strict=True))


def tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's tau-b of two columns of scores."""
    return float(kendalltau(first, second).statistic)


def interval(first: np.ndarray, second: np.ndarray, draws: int, seed: int) -> tuple[float, float]:
    """95 % by resampling clips, `[methods, clips]`, of each model."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        means = [each[:, random.integers(each.shape[1], size=each.shape[1])].mean(1) for each in (first, second)]
        found.append(tau(*means))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs=2)
    parser.add_argument("--metric", choices=METRICS, default="average precision")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    first, second = (figures(path, given.metric) for path in given.files)
    names = [name for name in first if name in second]
    if len(names) < 3:
        raise SystemExit(f"only {len(names)} methods are in both files; expected at least 3")
    columns = [np.stack([each[name] for name in names]) for each in (first, second)]
    means = [each.mean(1) for each in columns]
    print("| method | first | second |\n| --- | --- | --- |")
    for i in np.argsort(-means[0]):
        print(f"| `{names[i]}` | {means[0][i]:.2f} | {means[1][i]:.2f} |")
    low, high = interval(*columns, given.draws, given.seed)
    clips = " and ".join(str(each.shape[1]) for each in columns)
    print(
        f"\nKendall's tau of {given.metric} over {len(names)} methods: {tau(*means):.2f} [{low:.2f}, {high:.2f}] "
        f"({clips} clips)"
    )


if __name__ == "__main__":
    try:
        main()
    except TagxaiError as error:
        raise SystemExit(str(error)) from None
