"""The check of what a generator promises of its attention sites."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.contract.attention import AttentionSite, edit_attention, scale_values
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import torch
from tagxai.probing.edits import Capture, Gate
from tagxai.testing.failures import DeliberateFailure, FailingEdit, fail
from tagxai.testing.promises import Promise


def check_attention(
    promise: Promise, generator: Generator, clip: Generation, prompts: Sequence[str], tolerance: float
) -> None:
    sites, cross = list(generator.attention_sites()), list(generator.cross_attention())
    promise(bool(cross), "offers attention, but has no cross-attention site")
    promise(len({site.name for site in sites}) == len(sites), "gives one name to several attention sites")
    heads: dict[str, int] = {}
    with edit_attention(sites, lambda site, weights: heads.update({site.name: weights.shape[1]})):
        generator.forward(clip)
    for site in sites:
        found = heads.get(site.name)
        promise(found == site.heads, f"says that {site.name} has {site.heads} heads, but shows weights of {found}")
    _check_levels(promise, generator, clip, tolerance)

    plain, tokens = generator.forward(clip), len(clip.tokens)
    null = generator.forward(clip, branch="unconditional")
    gates_of = [(1.0, plain, "the plain pass")]
    if "closes" in generator.offers:
        gates_of.append((0.0, null, "the unconditional branch"))
    for value, expected, what in gates_of:
        with edit_attention(cross, Gate(torch.full((clip.positions, tokens), value))):
            gated = generator.forward(clip)
        promise.is_close(gated.hidden, expected.hidden, tolerance, f"is not {what} under a gate of {value:g}")
        promise.is_close(gated.log_prob, expected.log_prob, tolerance, f"is not {what} under a gate of {value:g}")

    gates = torch.rand(2, clip.positions, tokens, generator=torch.Generator().manual_seed(3))
    gates[1] = 1.0
    with edit_attention(cross, Gate(gates)):
        hidden = generator.forward(clip, generator.encode_prompt([clip.prompt]).expand(2)).hidden
    promise.is_close(hidden[1], plain.hidden[0], tolerance, "lets a gate on one row of a batch change another row")

    constant = gates[:, 0]
    with edit_attention(cross, Gate(constant[:, None].expand(-1, clip.positions, -1))):
        gated_hidden = generator.forward(clip, generator.encode_prompt([clip.prompt]).expand(2)).hidden
    with scale_values(cross, constant):
        hidden = generator.forward(clip, generator.encode_prompt([clip.prompt]).expand(2)).hidden
    promise.is_close(hidden, gated_hidden, tolerance, "scales value vectors differently than a gate that never changes")

    # The weights that a masked, streaming, guided run shows are those of a masked teacher-forced pass over its codes.
    # They are seen before the mask, so that from the second layer or position on they show what it did to the states.
    streamed, forced = (Capture(keep_layers=True, keep_heads=True) for _ in range(2))
    with edit_attention(cross, streamed):
        masked = generator.generate(clip.prompt, duration=clip.duration, seed=12, mask=gates[0])
    with torch.no_grad(), edit_attention(cross, forced), edit_attention(cross, Gate(gates[0])):
        generator.forward(masked)
    weights = forced.weights()
    promise(
        weights.shape == (1, len(cross), cross[0].heads, clip.positions, tokens),
        f"shows cross-attention weights of shape {tuple(weights.shape)} [batch, layers, heads, positions, tokens]",
    )
    # Of other sites, a part is shown.
    whole = [i for i, site in enumerate(cross) if site.kind == "cross" and not (site.signed or site.padded)]
    if whole:
        total = weights[:, whole].sum(-1)
        promise.is_close(total, torch.ones_like(total), tolerance, "shows weights that do not sum to 1 over tokens")
    promise.is_close(
        streamed.weights(), weights, tolerance, "differs between masked streaming and a masked teacher-forced pass"
    )

    for site in sites:
        situation = f" after an exception in an edit at {site.name}"
        with promise.leaves_alone(generator, clip, situation), edit_attention([site], FailingEdit(1)):
            promise.raises(DeliberateFailure, lambda: generator.forward(clip), situation.strip())
    with promise.leaves_alone(generator, clip, " after an exception while generating"):
        promise.raises(
            DeliberateFailure,
            lambda: generator.generate(clip.prompt, duration=clip.duration, mask=gates[0], on_progress=fail),
            "when on_progress raises",
        )


def _check_levels(promise: Promise, generator: Generator, clip: Generation, tolerance: float) -> None:
    """Every noise level is shown: its heads, and no others, act on its own log-probabilities."""
    cross, levels = list(generator.cross_attention()), clip.timeline.levels
    for site in cross:
        promise(
            site.levels == levels and site.heads % levels == 0,
            f"shows {site.heads} heads at {site.levels} noise levels at {site.name}, but runs a clip at {levels}",
        )
    if levels == 1:
        return
    plain = generator.forward(clip).log_prob
    for level in range(levels):

        def close(site: AttentionSite, weights: torch.Tensor, level: int = level) -> torch.Tensor:
            gate = torch.ones(levels, device=weights.device)
            gate[level] = 0
            return weights * gate.repeat_interleave(weights.shape[1] // levels)[:, None, None].to(weights)

        with edit_attention(cross, close):
            changed = ((generator.forward(clip).log_prob - plain).abs() / (1 + plain.abs()))[0].amax(-1)
        others = [other for other in range(levels) if other != level]
        promise(
            bool(changed[level] > tolerance and (changed[others] <= tolerance).all()),
            f"shows weights of noise level {level} that are not its own: closing them changes the levels' "
            f"log-probabilities by up to {[f'{each:.1e}' for each in changed.tolist()]} of themselves",
        )
