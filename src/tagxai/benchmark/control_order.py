"""Controls check metrics: one that does not rank right explanations above chance means nothing."""

from __future__ import annotations

from statistics import fmean

from tagxai.benchmark.statistics import interval

BEST, BETWEEN, CHANCE = "oracle", "degraded oracle", "random"
"""The controls, in the order that a metric must rank them; the first must be better than the last."""

ASK_AGAIN = ("robustness", "randomisation")
"""Families that ask a method again: controls ask the model nothing, so they cannot check such a metric."""

FEWEST = 2
"""Prompts that the order of two controls needs: over one, a tie says nothing."""

TIE = 1e-9
"""Means closer than this are equal: sums differ in rounding."""


def not_judged(values: dict[str, dict[str, float]], family: str) -> str | None:
    """Why the controls cannot check a metric; None where they can."""
    if family in ASK_AGAIN:
        return "a control that is asked again gives the same answer"
    if BEST not in values:
        return "the board has no oracle to check them with"
    shared = len(values[BEST].keys() & values.get(CHANCE, {}).keys())
    return None if shared >= FEWEST else f"a reliable order needs {FEWEST} prompts, not {shared}"


def out_of_order(values: dict[str, dict[str, float]], higher_is_better: bool) -> str | None:
    """Why a metric's figures mean nothing: it ranks two controls in the wrong order. None where it does not.

    The oracle must be better than random scores, over the prompts that both have. A degraded oracle that is better than
    the oracle, or worse than random scores, counts where it is on every prompt, or where the
    95 % interval of the paired difference is clear.

    >>> out_of_order({"oracle": {"a": 0.2, "b": 0.2}, "random": {"a": 0.5, "b": 0.7}}, higher_is_better=True)
    'the oracle (0.2) is no better than random scores (0.6) over 2 prompts'
    """
    for better, worse, strict in ((BEST, CHANCE, True), (BEST, BETWEEN, False), (BETWEEN, CHANCE, False)):
        high, low = (values.get(name, {}) for name in (better, worse))
        shared = [prompt for prompt in high if prompt in low]
        if len(shared) < FEWEST:
            continue
        above, below = (fmean(found[prompt] for prompt in shared) for found in (high, low))
        sign = 1 if higher_is_better else -1
        gains = {prompt: sign * (high[prompt] - low[prompt]) for prompt in shared}
        found = interval(gains)
        clear = max(gains.values()) < -TIE or (found.high is not None and found.high < -TIE)
        if found.mean <= TIE if strict else clear:
            named = f"{worse} scores" if worse == CHANCE else f"the {worse}"
            than = "no better" if strict else "worse"
            return f"the {better} ({above:.3g}) is {than} than {named} ({below:.3g}) over {len(shared)} prompts"
    return None
