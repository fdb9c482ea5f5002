"""How often the intervals of tagxai's tables hold the true mean: simulated, where they are given at all.

    uv run python benchmarks/interval_coverage.py [--draws 10000] [--out FILE]

For each law and number of prompts n, `draws` samples are drawn, and the interval is the one that a leaderboard prints
(`tagxai.metrics.intervals.mean_interval`). "given" is the share of samples with an interval; "covered" is the share of
those that hold the true mean, which must be at least .93. "percentile bootstrap" is what earlier versions printed.
Laws: normal; skewed: exponential, chi-squared with 1 degree of freedom (skewness 2.8), beta(5, 1/2) (most values near
1) and lognormal with sigma 1/2 and 1 (skewness 6.2); saturated: hits and misses with shares .5, .9 and .99, and a
mixture whose values are 1 with probability .7 and else uniform.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from tagxai.metrics.intervals import mean_interval

PROMPTS = (1, 2, 5, 12, 30, 60)
PROMISED = 0.93
Law = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Samples from standard normal and from uniform numbers."""

LAWS: dict[str, tuple[Law, float, tuple[float, float] | None]] = {
    "normal": (lambda z, u: z, 0.0, None),
    "normal, in bounds": (lambda z, u: (0.5 + z / 10).clamp(0, 1), 0.5, (0.0, 1.0)),
    "exponential": (lambda z, u: -u.log(), 1.0, (0.0, math.inf)),
    "chi-squared(1)": (lambda z, u: z**2, 1.0, (0.0, math.inf)),
    "beta(5, 1/2)": (lambda z, u: _beta(u), 10 / 11, (0.0, 1.0)),
    "lognormal(1/2)": (lambda z, u: (z / 2).exp(), math.exp(1 / 8), (0.0, math.inf)),
    "hits .5": (lambda z, u: (u < 0.5).double(), 0.5, (0.0, 1.0)),
    "hits .9": (lambda z, u: (u < 0.9).double(), 0.9, (0.0, 1.0)),
    "hits .99": (lambda z, u: (u < 0.99).double(), 0.99, (0.0, 1.0)),
    "1 or uniform": (lambda z, u: torch.where(u < 0.7, 1.0, (u - 0.7) / 0.3), 0.85, (0.0, 1.0)),
    "lognormal(1)": (lambda z, u: z.exp(), math.exp(0.5), (0.0, math.inf)),
}


def _beta(u: torch.Tensor) -> torch.Tensor:
    """Beta(5, 1/2) by its quantiles, on a fine grid of 1 - x = s^2, where the density of s is (1 - s^2)^4."""
    s = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    share = torch.cumulative_trapezoid((1 - s**2) ** 4, s)
    return 1 - s[1:][torch.searchsorted(share / share[-1], u).clamp(max=len(share) - 1)] ** 2


def covered(law: str, n: int, draws: int, seed: int) -> tuple[float, float, float]:
    """The shares of samples with an interval, of those that it covers, and of all that a percentile bootstrap does."""
    sample, mean, bounds = LAWS[law]
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(draws, n, generator=random, dtype=torch.float64)
    u = torch.rand(draws, n, generator=random, dtype=torch.float64)
    values = sample(z, u)
    given = held = 0
    for row in values:
        _, low, high = mean_interval(row, bounds=bounds)
        if low is not None and high is not None:
            given += 1
            held += low <= mean <= high
    few = values[: min(draws, 1000)]
    resampled = few[:, torch.randint(n, (400, n), generator=random)].mean(2)
    low_high = resampled.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64), dim=1)
    bootstrapped = ((low_high[0] <= mean) & (mean <= low_high[1])).double().mean().item()
    return given / draws, held / given if given else math.nan, bootstrapped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [f"{options.draws:,} draws, seed {options.seed}.", ""]
    lines += ["| law | n | given | covered | percentile bootstrap |", "|---|---|---|---|---|"]
    failed = []
    for law in LAWS:
        for n in PROMPTS:
            given, held, before = covered(law, n, options.draws, options.seed)
            shown = "-" if math.isnan(held) else f"{held:.3f}"
            lines.append(f"| {law} | {n} | {given:.3f} | {shown} | {before:.3f} |")
            print(lines[-1], file=sys.stderr, flush=True)
            if held < PROMISED:
                failed.append(f"{law}, n = {n}")
    lines += ["", f"Below {PROMISED}: {'; '.join(failed) or 'none'}."]
    print("\n".join(lines))
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
