"""Forty methods that do what no method may, for `survival.py misdeeds`; each is `misdeed(how=...)` of one plugin."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tagxai import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores

LEFT: list[Any] = []
"""What is never taken back."""


def _zero_record(run: Run) -> None:
    for tensor in run.generation.record.values():
        tensor.zero_()


def _half_weights(run: Run) -> None:
    for model in run.model.modules().values():
        for weight in model.parameters():
            weight.data.mul_(0.5)


def _patch(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _swallow(run: Run) -> None:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException as error:
            LEFT.append(error)


def _edit(run: Run) -> None:
    from tagxai.contract.attention import edit_attention

    LEFT.append(edit_attention(run.model.attention_sites(), lambda site, weights: weights * 0))
    LEFT[-1].__enter__()


def _thread(run: Run) -> None:
    import threading

    def spoil() -> None:
        while True:
            time.sleep(0.05)
            _half_weights(run)

    threading.Thread(target=spoil, daemon=True).start()


def _torch() -> Any:
    import torch

    return torch


def _decode(*_: Any) -> Any:
    return _torch().zeros(1, 16000)


MISDEEDS: dict[str, Callable[[Run], Any]] = {
    # what it was given
    "zeroes the codes": _zero_record,
    "zeroes the waveform": lambda run: run.generation.waveform.zero_(),
    "changes the settings": lambda run: dict.update(run.generation.settings, guidance_scale=50.0),  # type: ignore[arg-type]
    "changes the prompt": lambda run: object.__setattr__(run.generation, "prompt", "thunder"),
    "resizes the waveform": lambda run: run.generation.waveform.resize_(1, 1),
    "changes the embeddings": lambda run: run.conditioning.embeddings.mul_(3),
    # the model
    "halves the weights": _half_weights,
    "changes a default": lambda run: _patch(run.model, "default_guidance_scale", 50.0),
    "replaces decode": lambda run: _patch(run.model, "decode", _decode),
    "replaces decode of the class": lambda run: _patch(type(run._generator), "decode", lambda self, clip: _decode()),
    "replaces forward of the class": lambda run: _patch(type(run._generator), "encode_prompt", None),
    "leaves a hook": lambda run: [
        part.register_forward_hook(lambda module, given, output: None)
        for model in run.model.modules().values()
        for part in model.modules()
    ],
    "leaves an edit": _edit,
    "trains": lambda run: [model.train() for model in run.model.modules().values()],
    "moves the weights to float64": lambda run: [model.double() for model in run.model.modules().values()],
    "adds dropout": lambda run: [setattr(p, "p", 0.5) for m in run.model.modules().values() for p in m.modules()],
    "changes the sample rate": lambda run: _patch(run.model, "sample_rate", 8000),
    "spoils the weights later": _thread,
    # the process
    "changes the default dtype": lambda run: _torch().set_default_dtype(_torch().float64),
    "seeds everything": lambda run: (_torch().manual_seed(1), random.seed(1)),
    "turns gradients off for good": lambda run: _torch().set_grad_enabled(False).__enter__(),
    "changes the directory": lambda run: os.chdir("/"),
    "empties the environment": lambda run: os.environ.clear(),
    "closes stdout": lambda run: (os.close(1), setattr(sys, "stdout", None)),
    "prints a brace": lambda run: (print("{"), os.write(1, b"{")),
    "ignores signals": lambda run: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "turns warnings into errors": lambda run: warnings.simplefilter("error"),
    "replaces softmax": lambda run: _patch(_torch(), "softmax", lambda x, *_, **__: x),
    "replaces isfinite": lambda run: _patch(sys.modules["math"], "isfinite", lambda x: True),
    "replaces a metric": lambda run: _patch(
        __import__("tagxai.metrics.mask_size", fromlist=["x"]).MaskSize, "score", lambda *_: 0.5
    ),
    "replaces a method": lambda run: _patch(
        __import__("tagxai.methods.occlusion", fromlist=["x"]).Occlusion, "explain", lambda *_: None
    ),
    "empties the registry": lambda run: __import__("tagxai").registry().methods.clear(),
    "uses other arithmetic": lambda run: _torch().use_deterministic_algorithms(True),
    # the end
    "exits": lambda run: sys.exit(0),
    "exits hard": lambda run: os._exit(0),
    "is killed": lambda run: os.kill(os.getpid(), signal.SIGKILL),
    "never ends": _swallow,
    "recurses": lambda run: (lambda f: f(f))(lambda f: f(f)),
    "interrupts": lambda run: (_ for _ in ()).throw(KeyboardInterrupt()),
    # what it gives
    "gives None": lambda run: SimpleNamespace(),
}


@dataclass(frozen=True)
class Misdeed(Method):
    """A method that does what no method may, and else is `cross_attention`."""

    name = "misdeed"
    how: str = "zeroes the codes"

    def explain(self, run: Run) -> Scores:
        from tagxai.methods.cross_attention import CrossAttention

        found = CrossAttention().explain(run)
        done = MISDEEDS[self.how](run)
        return None if isinstance(done, SimpleNamespace) else found  # type: ignore[return-value]


assert len(MISDEEDS) == 40
