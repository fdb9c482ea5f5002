"""What `methods_cost.py` measures: every method, what it is compared to, and captum asked for one code at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Literal

from cost_one_code import by_captum, by_reverse_mode

PROMPT = "a dog barks followed by rain falling"
LONG_PROMPT = "a dog barks while rain falls then a loud bell"  # 10 words, for exact Shapley values
SMALL = {
    "layers": 24,
    "heads": 16,
    "width": 1024,
    "feed_forward": 4096,
    "text_width": 768,
    "vocabulary": 2048,
    "max_steps": 1600,
}
GENERATE, PASS, PLAIN, WORDS = "generate", "pass", "pass without logits", "pass of words + 1 rows"
SHAPLEY, REVERSE = "shapley, 10 words", "integrated_gradients, reverse mode"
OPTIONS: dict[str, dict[str, Any]] = {
    SHAPLEY: {"exact_up_to": 11},  # `</s>` is one of them
    REVERSE: {"mode": "reverse"},
}
OURS = {
    "captum, each code: IntegratedGradients": "integrated_gradients",
    "captum, each code: Saliency": "saliency",
    "captum, each code: FeatureAblation": "occlusion",
    "captum, each code: KernelShap": "kernel_shap",
}
"""captum asked for one code after another, and the method of ours that gives the same for all codes at once."""


@dataclass(frozen=True)
class Aim:
    """A ratio of CPU times that we want to stay below, or above, a limit."""

    what: str
    row: str
    reference: str
    sign: Literal["<=", ">="]
    limit: float

    def met(self, ratio: float) -> bool:
        return ratio <= self.limit if self.sign == "<=" else ratio >= self.limit


AIMS = (
    Aim("leave-one-out / one batch of words + 1 passes", "occlusion", WORDS, "<=", 1.2),
    Aim("integrated gradients: reverse mode per output / forward mode", REVERSE, "integrated_gradients", ">=", 15.0),
    Aim("exact Shapley values of 10 words / generating", SHAPLEY, GENERATE, "<=", 2.0),
    Aim("capturing attention / a plain pass, both without logits", "cross_attention", PLAIN, "<=", 1.05),
)


def rows() -> list[str]:
    """The names of all rows of one model, references first."""
    from tagxai.registering.registry import registry

    known = registry()
    captums = [name for family in known.families.values() for name in family.summaries]
    captums.remove("captum:ShapleyValues")  # all orders of the words: for prompts of up to 6 units
    return [GENERATE, PASS, PLAIN, WORDS, SHAPLEY, REVERSE, *known.methods, *captums, *OURS]


def references(row: str) -> list[str]:
    """What a row is measured in turn with; generating measured beside itself shows how far ratios can be trusted."""
    own = [aim.reference for aim in AIMS if aim.row == row] + [ours for name, ours in OURS.items() if name == row]
    return list(dict.fromkeys([GENERATE, PASS, *own]))


def prompt_of(row: str) -> str:
    return LONG_PROMPT if row == SHAPLEY else PROMPT


@cache
def load(model: str) -> Any:
    """Load `tiny`, `small`, or anything that `tagxai --generator` accepts; once, for all processes forked later."""
    from tagxai import load_generator
    from tagxai.testing import random_checkpoint

    if model != "small":
        return load_generator(model)
    folder = Path(gettempdir(), "tagxai-methods-cost-small")
    if not (folder / "config.json").is_file():
        random_checkpoint(folder, **SMALL)
    return load_generator(f"musicgen:{folder}")


def work(generator: Any, row: str, seconds: float) -> Callable[[Any], dict[str, Any]]:
    """Do a row's work on a clip, and return what to report besides the time: the passes, and how many codes if few."""
    import torch

    from tagxai.registering.registry import registry
    from tagxai.text import words

    def generate(clip: Any) -> dict[str, Any]:
        generator.generate(clip.prompt, duration=seconds, seed=0)
        return {}

    def one_pass(clip: Any) -> dict[str, Any]:
        size = 1 + units(clip.prompt, clip.spans, clip.tokens) if row == WORDS else 1
        conditioning = generator.encode_prompt([clip.prompt]).expand(size)
        with torch.inference_mode():
            (generator.hidden_states if row == PLAIN else generator.forward)(clip, conditioning)
        return {"forward_passes": size}

    @cache  # counted while warming up: splitting words is no part of a pass
    def units(prompt: str, spans: tuple[tuple[int, int], ...], tokens: tuple[str, ...]) -> int:
        return len(words.words(prompt, spans, tokens))

    def explain(clip: Any) -> dict[str, Any]:
        cost = asdict(method.attribute(generator, clip).cost)
        return {name: number for name, number in cost.items() if name.endswith("_passes")}

    if row == GENERATE:
        return generate
    if row in (PASS, PLAIN, WORDS):
        return one_pass
    if row in OURS:
        return lambda clip: by_captum(generator, clip, row.rpartition(" ")[2])
    method: Any = registry().method(row.partition(",")[0]).configure(OPTIONS.get(row, {}))
    if row == REVERSE:
        return lambda clip: by_reverse_mode(generator, clip, method.points)
    return explain
