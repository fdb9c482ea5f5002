"""The self-test of a converted model: what its original made of a few codes lies beside the weights, for every load.

A conversion that put one matrix in another's place would still load, and sound like something. Its logits would differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tagxai import storage
from tagxai.errors import DamagedFileError
from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.lazy import torch

MANIFEST, TENSORS = "tagxai_conversion.json", "tagxai_conversion.safetensors"
PROMPT = "a dog barks while rain falls"
FRAMES = 6
TOLERANCE = 1e-4  # of float32 on a CPU, where nothing is larger than 1, else of the largest value
LOW_PRECISION_TOLERANCE = 0.1  # of the largest value: bfloat16, float16, and the TF32 of GPUs


def score(generator: DelayPatternGenerator) -> dict[str, torch.Tensor]:
    """Logits and sound of a fixed short sequence of codes: a pass through every layer that generating uses."""
    frames = min(FRAMES, generator.max_frames)
    codes = torch.arange(generator.codebooks * frames, device=generator.device).mul(7919).remainder(generator.pad)
    codes = codes.reshape(generator.codebooks, frames)
    with torch.no_grad():
        conditioning = generator.encode_prompt([PROMPT])
        with generator._lower():
            hidden = generator._states(generator._columns(codes)[None], conditioning.embeddings, conditioning.padding)
        logits = torch.stack([head(hidden)[0] for head in generator._heads])
        return {"logits": logits.float().cpu(), "audio": generator.decode_codes(codes).float().cpu()}


def difference(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each; infinite where even the shapes differ."""
    return {
        name: (found[name] - tensor).abs().max().item() if found[name].shape == tensor.shape else float("inf")
        for name, tensor in expected.items()
    }


def first_broken(
    differences: Mapping[str, float], expected: Mapping[str, torch.Tensor], *, exact: bool = True
) -> str | None:
    """What differs by more than it may, in words; None where all is well."""
    tolerance = TOLERANCE if exact else LOW_PRECISION_TOLERANCE
    for name, found in differences.items():
        largest = expected[name].abs().max().item()
        bound = tolerance * (max(1.0, largest) if exact else largest)
        if not found <= bound:  # nan is broken too
            return f"its {name} differ by up to {found:.3g}, where {bound:.2g} is allowed"
    return None


def check(generator: DelayPatternGenerator, source: str) -> None:
    """Score again what the original scored, if `source` is a folder that was converted. Raises DamagedFileError."""
    folder = Path(source).expanduser()
    if not (folder / MANIFEST).is_file():
        return
    try:
        kept = storage.read_tensors(folder / TENSORS)
        expected = {name: kept[name] for name in ("logits", "audio")}
    except KeyError as missing:
        raise DamagedFileError(f"{folder / TENSORS} is damaged: it has no {missing}") from None
    exact = generator.device.type == "cpu" and generator.dtype == torch.float32
    broken = first_broken(difference(score(generator), expected), expected, exact=exact)
    if broken:
        raise DamagedFileError(
            f"folder {str(folder)!r} no longer holds the model that was converted: {broken}; convert it again"
        )
