"""The checks of `gpu.py` of what work costs: time, memory, waiting. Each returns its figures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from full_size import h100_seconds
from full_size_latent_shapes import LATENT_SHAPES
from full_size_shapes import SHAPES
from gpu_setting import PROMPT, Setting, latent_model, model, release, timed
from host_waits import host_waits, of_tagxai

from tagxai.errors import NotApplicableError, error_sentence


def throughput(setting: Setting) -> dict[str, Any]:
    """Clips a second, by how many are made at a time."""
    from tagxai.contract.request import Request

    here = model(setting.shapes[0], setting.dtype, setting.device)
    seconds = 0.4 if setting.small else 5.0
    figures = {}
    for batch in setting.batches:
        requests = [Request(PROMPT, seconds, seed) for seed in range(batch)]
        here.generate_many(requests)  # the first of a size asks the driver for memory
        _, took = timed(setting, lambda requests=requests: here.generate_many(requests))
        figures[f"{batch} clips"] = f"{batch / took:.2f} a second"
    return figures


def stages(setting: Setting) -> dict[str, Any]:
    """Seconds of each stage at each shape of both families, beside the estimates of `full_size.py`, and the peak of
    memory beside its own."""
    import torch

    from tagxai.contract.peak import peak_memory
    from tagxai.explaining.default_method import default_method
    from tagxai.explaining.estimate import estimate
    from tagxai.explaining.explain import explain
    from tagxai.registering.registry import registry

    figures: dict[str, Any] = {}
    for shape in (*setting.shapes, *setting.latent_shapes):
        here = latent_model(shape, setting) if shape in LATENT_SHAPES else model(shape, setting.dtype, setting.device)
        seconds = min((SHAPES | LATENT_SHAPES)[shape].seconds, here.max_duration)
        few = {"denoising_steps": 8} if setting.small and shape in LATENT_SHAPES else {}

        def make(here: Any = here, duration: float = seconds, few: Any = few) -> Any:
            return here.generate(PROMPT, duration=duration, seed=0, **few)

        make()  # what is loaded once, and memory asked for
        if setting.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        clip, generating = timed(setting, make)
        with torch.no_grad():
            here.forward(clip)
            _, scoring = timed(setting, lambda here=here, clip=clip: here.forward(clip))
        method = registry().method(default_method(here)[0])()
        method.attribute(here, clip)
        _, explaining = timed(setting, lambda here=here, m=method, c=clip: explain(c, method=m, generator=here))
        expected = estimate(here, PROMPT, seconds, method)
        foreseen = h100_seconds(*work_of(here, clip))
        figures[shape] = (
            f"generating {seconds:g} s of sound {generating:.2f} s (an H100 as estimated: {foreseen:.2f}), "
            f"a pass {scoring:.3f} s, explaining {explaining:.2f} s; peak {peak_memory() / 1e9:.2f} GB, "
            f"estimated {(expected.weights + expected.needed) / 1e9:.2f} GB"
        )
        del here
        release(setting)
    return figures


def work_of(generator: Any, clip: Any) -> tuple[dict[str, int], int, int]:
    """What generating a clip asks of a model, as `full_size.py` counts it: positions and calls, parameters, layers."""
    parts = {name: part for name, part in generator.parameters_by_part().items() if name.startswith("layer")}
    parameters = sum(weight.numel() for part in parts.values() for weight in part)
    layers = sum("." not in name for name in parts)
    steps = clip.settings.get("denoising_steps")
    if steps is None:
        return {"positions": 2 * clip.positions, "calls": clip.positions}, parameters, layers
    rows = steps * (1 if clip.settings.get("guidance_scale", 1) == 1 else 2)
    return {"positions": rows * clip.positions, "calls": rows}, parameters, layers


class Loop(NamedTuple):
    """Work of few steps and of more; how many more, and how many waits they may add."""

    few: Callable[[], Any]
    many: Callable[[], Any]
    steps: int
    allowed: int


def no_waiting(setting: Setting) -> dict[str, Any]:
    """In no loop of tagxai's own does the host wait for the device more often where there are more steps.

    Allowed are one wait for each pass that a method asks for (are its numbers finite?) and one for each epoch (has its
    loss converged?).
    """
    from tagxai.methods.audiogenx import AudioGenX
    from tagxai.registering.registry import registry

    figures: dict[str, Any] = {}
    code, latent = model("small", "float32", setting.device), registry().generator("latent").load(device=setting.device)
    long = code.generate(PROMPT, duration=0.8, seed=0)

    def sample(seconds: float) -> Any:
        return code.generate(PROMPT, duration=seconds, seed=0)

    def denoise(steps: int) -> Any:
        return latent.generate(PROMPT, duration=0.4, seed=0, denoising_steps=steps)

    def learn(epochs: int) -> Any:
        return AudioGenX(epochs=epochs, patience=0).attribute(code, long)

    loops = {
        "sampling codes": Loop(lambda: sample(0.4), lambda: sample(0.8), steps=20, allowed=1),
        "denoising": Loop(lambda: denoise(8), lambda: denoise(16), steps=8, allowed=1),
        "AudioGenX": Loop(lambda: learn(4), lambda: learn(8), steps=4, allowed=4 * 3),
    }
    for name, (few, many, steps, allowed) in loops.items():
        many()
        counted = []
        for work in (few, many):
            with host_waits(setting.device) as found:
                work()
            counted.append(found)
        more = counted[1] - counted[0]
        own = of_tagxai(more)
        places = ", ".join(f"{place} {number}" for place, number in more.most_common(6))
        print(f"{name}, {steps} steps more: {places or 'no wait more'}", file=sys.stderr, flush=True)
        assert own.total() <= allowed, f"{name}: {own.total()} waits more for {steps} steps more: {places}"
        figures[name] = f"{steps} steps more, {own.total()} waits more, and {more.total() - own.total()} in libraries"
    return figures


def compiling(setting: Setting) -> dict[str, Any]:
    """What `torch.compile` of the decoder's layers, which are alike, takes and gains for a pass."""
    if setting.device != "cuda":
        raise NotApplicableError("compiling pays by fewer launches of kernels, which a CPU does not have")
    return compiled_layers(setting, setting.shapes[0])


def compiled_layers(setting: Setting, shape: str) -> dict[str, Any]:
    import torch

    here = model(shape, setting.dtype, setting.device)
    clip = here.generate(PROMPT, duration=SHAPES[shape].seconds, seed=0)
    layers = here.model.decoder.model.decoder.layers
    with torch.no_grad():
        here.forward(clip)
        _, plain = timed(setting, lambda: here.forward(clip))
        try:
            for layer in layers:
                layer.compile(dynamic=False)
            _, first = timed(setting, lambda: here.forward(clip))
            _, compiled = timed(setting, lambda: here.forward(clip))
        except Exception as error:  # torch's own limits are no fault of what is checked
            raise NotApplicableError(
                f"torch {torch.__version__} cannot compile a layer: {error_sentence(error)[:200]}"
            ) from None
        finally:
            for layer in layers:
                layer._compiled_call_impl = None
    return {"first pass": f"{first:.1f} s", "later passes": f"{compiled / plain:.2f} of the plain pass"}
