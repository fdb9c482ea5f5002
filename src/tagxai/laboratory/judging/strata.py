"""Kinds of prompts and clips that a benchmark reports apart, because methods differ in which of them they find hard."""

from tagxai.contract.truth import Truth
from tagxai.laboratory.language.prompt import Prompt

STRATA = (
    *("single", "while", "followed", "three events", "gappy", "steady", "denied", "reversed order"),
    *("attributes", "no attributes"),
)
"""`single`, `while`, `followed`: the prompt's form; `three events`: `sequence` and `layered`. `gappy`: a quarter of the
stretch of some event is silent; `steady`: hardly any of any event's. `denied`: an event is. `reversed order`: an event
sounds before one that is named earlier."""

GAPPY, STEADY = 1 / 4, 1 / 20
"""Shares of a stretch that are silent: of some event at least, of every event at most."""


def strata(prompt: Prompt, truth: Truth) -> tuple[str, ...]:
    """The strata of a clip, in the order of `STRATA`; a clip has several."""
    silent, whole = truth.gaps.sum(1), (truth.gaps | truth.mask).sum(1)
    shares = (silent / whole.clamp(min=1))[whole > 0].tolist()
    starts = [mention.start_s for mention in prompt.present]
    styled = any(mention.attributes for mention in prompt.present)
    found = {
        prompt.form,
        *(["three events"] if len(prompt.events) == 3 else []),
        *(["gappy"] if any(share >= GAPPY for share in shares) else []),
        *(["steady"] if shares and all(share <= STEADY for share in shares) else []),
        *(["denied"] if prompt.scene.absent is not None else []),
        *(["reversed order"] if starts != sorted(starts) else []),
        "attributes" if styled else "no attributes",
    }
    return tuple(name for name in STRATA if name in found)
