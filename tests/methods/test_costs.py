"""What every method says it cost equals what an observer outside it counts: calls, rows, derivatives, layers.

The observer wraps the generator's passes, hooks the gradients of what they return and the blocks of the decoder, and
replaces torch's forward mode; it shares no line with the counting that it checks.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass

import pytest
import torch

from tagxai.contract.values import StepOutput
from tagxai.methods.captum.names import ALGORITHMS, PREFIX
from tagxai.registering.registry import registry

CONDITIONING_AT = {"forward": 1, "hidden_states": 1, "forward_from": 2, "prefix_state": 1, "isolated_states": 1}
"""The generator's ways to run the model, and which argument of each is the conditioning."""
METHODS = [
    *(name for name, entry in registry().methods.items() if "coupled" not in entry.cls.needs),  # codes share no noise
    *(PREFIX + name for name in ALGORITHMS),
]


@dataclass
class Seen:
    """What was counted, in the order of `Cost`. `block_rows` are rows of any one block of the decoder."""

    model_calls: int = 0
    forward_passes: int = 0
    backward_passes: int = 0
    forward_mode_passes: int = 0
    block_rows: int = 0


@pytest.fixture(scope="module")
def short(generator):
    """A clip of few codes and few words: captum:ShapleyValues goes through all orders of them."""
    return generator.generate("a dog barks", duration=0.2, seed=3)


@contextmanager
def observed(generator, monkeypatch) -> Iterator[Seen]:
    seen, inside, directions = Seen(), [0], [0]

    def count_gradient(gradient):
        seen.backward_passes += int(gradient.flatten(1).any(1).sum())

    def watch_gradients(found):
        """A backward pass has a row for each row of the result that a gradient arrives at."""
        tensor = found.log_prob if isinstance(found, StepOutput) else found
        if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
            tensor.register_hook(count_gradient)

    def watching(name, place):
        run = getattr(generator, name)

        def call(*arguments, **named):
            conditioning = arguments[place] if len(arguments) > place else named.get("conditioning")
            if inside[0]:  # a generator that asks itself: one pass
                return run(*arguments, **named)
            seen.model_calls += 1
            seen.forward_passes += 1 if conditioning is None else len(conditioning)
            if conditioning is not None and not directions[0]:  # dual numbers, a direction a row
                tangent = torch.autograd.forward_ad.unpack_dual(conditioning.embeddings).tangent
                seen.forward_mode_passes += 0 if tangent is None else len(conditioning)
            inside[0] += 1
            try:
                found = run(*arguments, **named)
            finally:
                inside[0] -= 1
            watch_gradients(found)
            return found

        return call

    def count_block(_, arguments, named):
        seen.block_rows += len(arguments[0] if arguments else named["hidden_states"])

    jvp, vmap = torch.func.jvp, torch.func.vmap

    def counted_vmap(function, *options, **named):
        def over(along):
            at_once = []
            directions[0] += 1
            with monkeypatch.context() as patch:
                patch.setattr(torch.func, "jvp", lambda *rest: at_once.append(len(along)) or jvp(*rest))
                found = vmap(function, *options, **named)(along)
            directions[0] -= 1
            seen.forward_mode_passes += sum(at_once)
            return found

        return over

    with ExitStack() as stack:
        for name, place in CONDITIONING_AT.items():
            setattr(generator, name, watching(name, place))
            stack.callback(delattr, generator, name)
        for site in generator.cross_attention():
            stack.callback(site.block.register_forward_pre_hook(count_block, with_kwargs=True).remove)
        patch = stack.enter_context(monkeypatch.context())
        patch.setattr(torch.func, "vmap", counted_vmap)
        yield seen


@pytest.mark.parametrize("name", METHODS)
def test_a_method_costs_what_an_observer_counts(name, generator, short, monkeypatch):
    method, layers = registry().method(name)(), len(generator.cross_attention())
    with observed(generator, monkeypatch) as seen:
        cost = method.attribute(generator, short).cost
    apart = seen.block_rows - layers * seen.forward_passes  # rows of a layer that no pass of the model accounts for
    said = (cost.model_calls, cost.forward_passes, cost.backward_passes, cost.forward_mode_passes, cost.layer_passes)
    assert said == (*astuple(seen)[:-1], apart)
    assert cost.seconds > 0
    assert bool(cost.model_calls) == (name != "random")


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("saliency", {"mode": "reverse"}, "backward_passes"),
        ("saliency", {"mode": "forward"}, "forward_mode_passes"),
        ("audiogenx", {"epochs": 2}, "backward_passes"),
        ("value_zeroing", {}, "layer_passes"),
    ],
)
def test_each_kind_of_pass_is_seen(name, options, kind, generator, short, monkeypatch):
    with observed(generator, monkeypatch) as seen:
        cost = registry().method(name).configure(options).attribute(generator, short).cost
    outputs, numbers, layers = short.streams * short.frames, len(short.tokens), len(generator.cross_attention())
    width = generator.encode_prompt([short.prompt]).embeddings.shape[-1]
    expected = {
        ("saliency", "backward_passes"): outputs,
        ("saliency", "forward_mode_passes"): numbers * width,
        ("audiogenx", "backward_passes"): 2 * 2,  # both masks in each of two epochs
        ("value_zeroing", "layer_passes"): layers * numbers,
    }[name, kind]
    assert getattr(cost, kind) == expected
    assert getattr(seen, kind, expected) == expected
