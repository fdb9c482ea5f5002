"""From cells to what can be said: means with intervals, and paired comparisons with a reference method.

The unit is a prompt: its clips of different seeds are averaged first, because they are not independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from tagxai.lazy import Float, torch
from tagxai.metrics.intervals import Interval, mean_interval

PERMUTATIONS = 10_000


class Difference(NamedTuple):
    """The difference of a method from the reference, over the prompts that both have.

    `p` is the p-value of the sign-flip test, `holm` the same corrected for the number of methods; `delta` is Cliff's.
    """

    interval: Interval
    prompts: int
    p: float
    holm: float
    delta: float


def per_prompt(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The mean of each prompt's values.

    >>> per_prompt([("a siren", 1.0), ("a dog", 3.0), ("a siren", 2.0)])
    {'a siren': 1.5, 'a dog': 3.0}
    """
    groups: dict[str, list[float]] = {}
    for prompt, value in values:
        groups.setdefault(prompt, []).append(value)
    return {prompt: fmean(group) for prompt, group in groups.items()}


def interval(values: Mapping[str, float], bounds: tuple[float, float] | None = None) -> Interval:
    """The mean over prompts; `bounds` are those of the metric, where they are known."""
    return mean_interval(torch.tensor(list(values.values()), dtype=torch.float64), bounds=bounds)


def compare(
    methods: Mapping[str, Mapping[str, float]], reference: str, bounds: tuple[float, float] | None = None
) -> dict[str, Difference]:
    """Compare every other method with the reference, prompt by prompt; methods that share no prompt are left out.

    `bounds` are those of the metric, where they are known.
    """
    most = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    base = methods.get(reference, {})
    pairs = {}
    for name, values in methods.items():
        shared = [prompt for prompt in values if prompt in base]
        if name != reference and shared:
            pairs[name] = tuple(
                torch.tensor([each[prompt] for prompt in shared], dtype=torch.float64) for each in (values, base)
            )
    tests = dict(zip(pairs, sign_flips([a - b for a, b in pairs.values()]), strict=True))
    corrected = dict(zip(tests, holm(list(tests.values())), strict=True))
    return {
        name: Difference(mean_interval(a, b, bounds=most), len(a), tests[name], corrected[name], paired_delta(a - b))
        for name, (a, b) in pairs.items()
    }


def sign_flip(differences: Float[torch.Tensor, " prompts"], *, seed: int = 0) -> float:
    """The two-sided p-value of paired differences whose signs are exchangeable (Fisher, 1935, section 21).

    It counts all signs for up to 13 prompts, else random signs, with the observed ones among them.

    >>> import torch
    >>> sign_flip(torch.tensor([1.0, 2.0, 3.0]))
    0.25
    """
    return sign_flips([differences], seed=seed)[0]


def sign_flips(tests: Sequence[Float[torch.Tensor, " _prompts"]], *, seed: int = 0) -> list[float]:
    """`sign_flip` of each of several tests, which may be over different numbers of prompts."""
    found: dict[int, float] = {}
    for n in {len(test) for test in tests}:
        places = [place for place, test in enumerate(tests) if len(test) == n]
        values = torch.stack([tests[place].double() for place in places])
        found |= dict(zip(places, _sign_flips(values, seed), strict=True))
    return [found[place] for place in range(len(tests))]


def _sign_flips(values: Float[torch.Tensor, "tests prompts"], seed: int) -> list[float]:
    n = values.shape[1]
    if 2**n <= PERMUTATIONS:
        bits = torch.arange(2**n)[:, None] >> torch.arange(n) & 1
        return (_extreme(1 - 2 * bits.double(), values) / 2**n).tolist()
    random = torch.Generator().manual_seed(seed)
    found = torch.zeros(len(values), dtype=torch.float64)
    for _ in range(0, PERMUTATIONS, 1000):
        found += _extreme(1 - 2 * torch.randint(2, (1000, n), generator=random).double(), values)
    return ((found + 1) / (PERMUTATIONS + 1)).tolist()


def _extreme(
    signs: Float[torch.Tensor, "draws prompts"], values: Float[torch.Tensor, "tests prompts"]
) -> Float[torch.Tensor, " tests"]:
    """The number of sums at least as far from zero as the observed one, with a margin for rounding."""
    far = (values @ signs.T).abs() >= (values.sum(1).abs() - 1e-9 * values.abs().sum(1))[:, None]
    return far.sum(1).double()


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down correction for the number of tests (Holm, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, p_values[i] * (len(p_values) - rank)))
        corrected[i] = largest
    return corrected


def paired_delta(differences: Float[torch.Tensor, " prompts"]) -> float:
    """Cliff's delta within pairs: the share of prompts with more, minus the share with less (Cliff, 1993).

    >>> import torch
    >>> paired_delta(torch.tensor([0.5, 0.1, 0.0, -0.2]))
    0.25
    """
    return float(differences.sign().mean())
