"""The checks of `gpu.py`: each returns its figures, and raises where something does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from time import perf_counter
from typing import Any

from full_size_shapes import SHAPES, build

from tagxai.errors import NotApplicableError

PROMPT = "a dog bark while rain fall"
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.15, "float16": 0.05}
"""The largest difference of a log-probability from the CPU's in float32, in nats."""


@dataclass(frozen=True)
class Setting:
    """Where the checks run, and whether with small shapes."""

    device: str
    small: bool

    @property
    def shapes(self) -> tuple[str, ...]:
        return ("small",) if self.small else ("musicgen-small", "audiogen-medium")

    @property
    def batches(self) -> tuple[int, ...]:
        return (1, 4) if self.small else (1, 4, 16, 64)

    def wait(self) -> None:
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()


@cache
def model(shape: str, dtype: str, device: str) -> Any:
    """A model with random weights, the same on every device."""
    from tagxai.generators.transformers.model import TransformersGenerator

    made = build(SHAPES[shape], dtype)
    return TransformersGenerator(made.model.to(device), made.tokenizer)


def timed(setting: Setting, call: Callable[[], Any]) -> tuple[Any, float]:
    setting.wait()
    started = perf_counter()
    found = call()
    setting.wait()
    return found, perf_counter() - started


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


def throughput(setting: Setting) -> dict[str, Any]:
    """Clips a second, by how many are made at a time."""
    from tagxai.contract.request import Request

    here = model(setting.shapes[0], "float32" if setting.device == "cpu" else "bfloat16", setting.device)
    seconds = 0.4 if setting.small else 5.0
    here.generate_many([Request(PROMPT, 0.1, 0)])
    figures = {}
    for batch in setting.batches:
        requests = [Request(PROMPT, seconds, seed) for seed in range(batch)]
        _, took = timed(setting, lambda requests=requests: here.generate_many(requests))
        figures[f"{batch} clips"] = f"{batch / took:.2f} a second"
    return figures


def stages(setting: Setting) -> dict[str, Any]:
    """Seconds of each stage at each shape, and the peak of memory beside its estimate."""
    import torch

    from tagxai.contract.peak import peak_memory
    from tagxai.explaining.estimate import estimate
    from tagxai.explaining.explain import explain
    from tagxai.registering.registry import registry

    figures: dict[str, Any] = {}
    method = registry().method("share_x_alti_logit")()
    for shape in setting.shapes:
        here = model(shape, "float32" if setting.device == "cpu" else "bfloat16", setting.device)
        if setting.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = SHAPES[shape].seconds
        clip, generating = timed(setting, lambda here=here, d=seconds: here.generate(PROMPT, duration=d, seed=0))
        with torch.no_grad():
            _, scoring = timed(setting, lambda here=here, clip=clip: here.forward(clip))
        _, explaining = timed(setting, lambda here=here, clip=clip: explain(clip, method=method, generator=here))
        expected = estimate(here, PROMPT, seconds, method)
        figures[shape] = (
            f"generating {generating:.2f} s, a pass {scoring:.3f} s, explaining {explaining:.2f} s; peak "
            f"{peak_memory() / 1e9:.2f} GB, estimated {(expected.weights + expected.needed) / 1e9:.2f} GB"
        )
    return figures


def no_waiting(setting: Setting) -> dict[str, Any]:
    """Passes and the steps of sampling never wait for the GPU: torch's own debug mode turns that into an error."""
    import torch

    if setting.device != "cuda":
        raise NotApplicableError("a CPU has no host to wait for")
    here = model("small", "float32", setting.device)
    clip = here.generate(PROMPT, duration=0.4, seed=0)
    conditioning = here.encode_prompt([PROMPT])
    with torch.no_grad():
        here.forward(clip, conditioning)
        torch.cuda.set_sync_debug_mode("error")
        try:
            here.forward(clip, conditioning)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return {"a pass": "does not wait"}


def compiling(setting: Setting) -> dict[str, Any]:
    """What `torch.compile` of the decoder takes and gains for a pass."""
    import torch

    if setting.device != "cuda":
        raise NotApplicableError("compiling pays by fewer launches of kernels, which a CPU does not have")
    shape = setting.shapes[0]
    here = model(shape, "bfloat16", setting.device)
    clip = here.generate(PROMPT, duration=SHAPES[shape].seconds, seed=0)
    with torch.no_grad():
        here.forward(clip)
        _, plain = timed(setting, lambda: here.forward(clip))
        decoder = here.model.decoder.model.decoder
        kept = decoder.forward
        try:
            decoder.forward = torch.compile(kept, dynamic=True)
            _, first = timed(setting, lambda: here.forward(clip))
            _, compiled = timed(setting, lambda: here.forward(clip))
        finally:
            decoder.forward = kept
    return {"first pass": f"{first:.1f} s", "later passes": f"{compiled / plain:.2f} of the plain pass"}


CHECKS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "devices and dtypes": devices_and_dtypes,
    "hooks and batches": hooks_and_batches,
    "throughput": throughput,
    "stages": stages,
    "no waiting for the host": no_waiting,
    "compiling": compiling,
}
