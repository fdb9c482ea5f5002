"""The checks of `gpu.py` that what is computed is right: each returns its figures, and raises where it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gpu_setting import PROMPT, Setting, model

from tagxai.errors import NotApplicableError, TagxaiError

TOLERANCE = {"float32": 2e-3, "bfloat16": 0.15, "float16": 0.05}
"""The largest difference of a log-probability from the CPU's in float32, in nats."""
SCORES, OPTIMISED = 1e-3, 0.05
"""The largest difference of a score, as a share of the largest one; of a method that optimises, small ones add up."""


def devices_and_dtypes(setting: Setting) -> dict[str, Any]:
    """The log-probabilities of one clip on the CPU in float32, and here in every dtype."""
    import torch

    base = model("small", "float32", "cpu")
    clip = base.generate(PROMPT, duration=0.4, seed=0)
    with torch.no_grad():
        expected = base.forward(clip).log_prob
        figures = {}
        for dtype, allowed in TOLERANCE.items():
            here = model("small", dtype, setting.device)
            moved = replace(clip, record={name: each.to(setting.device) for name, each in clip.record.items()})
            difference = float((here.forward(moved).log_prob.float().cpu() - expected).abs().max())
            assert difference <= allowed, f"{dtype} differs by {difference:.3g} nats, allowed are {allowed:g}"
            figures[dtype] = f"within {difference:.2g} nats"
    return figures


def methods_agree(setting: Setting) -> dict[str, Any]:
    """The scores of every method here and on the CPU, in float32, of one clip of each embedded model."""
    import torch

    from tagxai.registering.registry import registry

    if setting.device != "cuda":
        raise NotApplicableError("a CPU has no other device to agree with")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    figures: dict[str, Any] = {}
    for source in ("tiny", "latent"):
        base, here = (registry().generator(source).load(device=device) for device in ("cpu", setting.device))
        clip = base.generate(PROMPT, duration=1.0, seed=0)
        figures[source] = agreement(
            {name: registry().method(name)() for name in registry().methods},
            lambda method, base=base, clip=clip: method.attribute(base, clip).scores,
            lambda method, here=here, clip=clip: method.attribute(here, clip).scores,
        )
    return figures


def agreement(methods: Mapping[str, Any], base: Callable[[Any], Any], here: Callable[[Any], Any]) -> str:
    """The largest difference of scores, of methods that work on the CPU; one that fails here alone is a failure."""
    differences, refused = {}, []
    for name, method in methods.items():
        try:
            expected = base(method)
        except TagxaiError:
            refused.append(name)
            continue
        found = here(method)
        difference = float((expected.cpu() - found.cpu()).abs().max() / expected.abs().max().clamp(min=1e-9))
        print(f"{name}: {difference:.2g}", file=sys.stderr, flush=True)
        allowed = OPTIMISED if name == "audiogenx" else SCORES
        assert difference <= allowed, f"{name} differs by {difference:.2g} of its largest score, allowed is {allowed:g}"
        differences[name] = difference
    worst = max(differences, key=differences.__getitem__)
    said = f"{len(differences)} methods, the largest difference {differences[worst]:.2g} of the largest score ({worst})"
    return said + (f"; not for this model: {', '.join(refused)}" if refused else "")


def latents(setting: Setting) -> dict[str, Any]:
    """A clip of the embedded model that denoises latents, here and on the CPU."""
    from tagxai.registering.registry import registry

    base, here = (registry().generator("latent").load(device=device) for device in ("cpu", setting.device))
    clips = [generator.generate(PROMPT, duration=1.0, seed=0) for generator in (base, here)]
    expected, found = (clip.record["latents"].float().cpu() for clip in clips)
    difference = float((expected - found).abs().max() / expected.abs().max())
    assert difference <= 2e-3, f"latents differ by {difference:.3g} of the largest"
    return {"sampled latents": f"within {difference:.2g} of the largest"}


def hooks_and_batches(setting: Setting) -> dict[str, Any]:
    """A gate of ones is the plain pass; rows of a batch are the rows alone; nothing is left behind."""
    import torch

    from tagxai.contract.attention import edit_attention, installed_edits
    from tagxai.probing.edits import Gate

    here = model("small", "float32", setting.device)
    clip = here.generate(PROMPT, duration=0.4, seed=0)
    before = installed_edits()
    with torch.no_grad():
        plain = here.forward(clip).log_prob
        ones = torch.ones(clip.positions, len(clip.tokens), device=setting.device)
        with edit_attention(here.cross_attention(), Gate(ones)):
            gated = here.forward(clip).log_prob
        rows = here.encode_prompt([PROMPT, "rain fall"])
        together = here.forward(clip, rows).log_prob
        apart = torch.cat([here.forward(clip, here.encode_prompt([text])).log_prob for text in (PROMPT, "rain fall")])
    for name, found, expected in (("gate of ones", gated, plain), ("batch", together, apart)):
        difference = float((found - expected).abs().max())
        assert difference <= TOLERANCE["float32"], f"{name}: differs by {difference:.3g} nats"
    assert installed_edits() == before, "an edit was left behind"
    return {"gate": "as without", "batch": "as one by one"}
