"""The direct routes to `[streams, frames, words]`: one code after another, by captum or by one backward pass for each.

Both are measured on a few codes, spread over the clip; the passes that they report are those of all codes.
"""

from __future__ import annotations

from dataclasses import replace
from time import process_time
from typing import Any

SAMPLED_CODES = 3


def chosen_codes(clip: Any) -> list[int]:
    """A few codes by number, spread over streams and frames."""
    every = clip.streams * clip.frames
    return [every * (2 * i + 1) // (2 * SAMPLED_CODES) for i in range(min(SAMPLED_CODES, every))]


def by_captum(generator: Any, clip: Any, algorithm: str) -> dict[str, Any]:
    """captum on each chosen code's log-probability."""
    chosen, every = chosen_codes(clip), clip.streams * clip.frames
    forward = backward = 0
    for code in chosen:
        ran = explain_code(generator, clip, algorithm, *divmod(code, clip.frames))
        forward, backward = forward + ran[0], backward + ran[1]
    return {
        "forward_passes": forward * every / len(chosen),
        "backward_passes": backward * every / len(chosen),
        "measured_codes": len(chosen),
        "all_codes": every,
    }


def by_reverse_mode(generator: Any, clip: Any, points: int) -> dict[str, Any]:
    """Integrated gradients of the chosen codes, each by its own backward pass; all share the forward passes."""
    import numpy as np
    import torch

    conditioning, chosen = generator.encode_prompt([clip.prompt]), chosen_codes(clip)
    shared = 0.0
    for place in np.polynomial.legendre.leggauss(points)[0].tolist():
        started = process_time()
        point = ((place + 1) / 2 * conditioning.embeddings).detach().requires_grad_()
        outputs = generator.forward(clip, replace(conditioning, embeddings=point)).log_prob.flatten()
        shared += process_time() - started
        for code in chosen:
            torch.autograd.grad(outputs[code], point, retain_graph=True)
    return {
        "forward_passes": points,
        "backward_passes": points * len(outputs),
        "measured_codes": len(chosen),
        "all_codes": len(outputs),
        "shared_seconds": shared,
    }


def explain_code(generator: Any, clip: Any, algorithm: str, stream: int, frame: int) -> tuple[int, int]:
    """captum on one code's log-probability; returns how many rows it ran forward and backward.

    Integrated gradients take as many points as ours, and Kernel SHAP as many subsets.
    """
    import captum.attr
    import torch

    from tagxai.contract.attention import scale_values
    from tagxai.methods.integrated_gradients import IntegratedGradients
    from tagxai.methods.kernel_shap import KernelShap
    from tagxai.text import words

    conditioning, ran = generator.encode_prompt([clip.prompt]), 0
    units = words.words(clip.prompt, clip.spans, clip.tokens)
    gradient = algorithm in ("IntegratedGradients", "Saliency")

    def of_embeddings(embeddings: torch.Tensor) -> torch.Tensor:
        nonlocal ran
        ran += len(embeddings)
        rows = replace(conditioning.expand(len(embeddings)), embeddings=embeddings.to(conditioning.embeddings))
        return generator.forward(clip, rows).log_prob[:, stream, frame]

    def of_words(kept: torch.Tensor) -> torch.Tensor:
        nonlocal ran
        ran += len(kept)
        values = torch.ones(len(kept), len(clip.tokens))
        for column, unit in enumerate(units):
            values[:, list(unit.tokens)] = kept[:, column, None]
        with torch.no_grad(), scale_values(generator.cross_attention(), values):
            return generator.forward(clip, conditioning.expand(len(kept))).log_prob[:, stream, frame]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if gradient:
            points = {"n_steps": IntegratedGradients().points, "internal_batch_size": 4}
            options = points if algorithm == "IntegratedGradients" else {}
            point = conditioning.embeddings.detach().clone().requires_grad_()
            getattr(captum.attr, algorithm)(of_embeddings).attribute(point, **options)
        else:
            options = {"n_samples": KernelShap().samples} if algorithm == "KernelShap" else {}
            ones = torch.ones(1, len(units))
            getattr(captum.attr, algorithm)(of_words).attribute(ones, perturbations_per_eval=8, **options)
    return ran, ran if gradient else 0
