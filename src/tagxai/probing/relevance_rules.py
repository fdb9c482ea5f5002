"""AttnLRP's rules as hooks on a decoder's modules, which see dual numbers: a value, and relevance's derivative.

A hook gives what a module returns the derivative that its rule says, and leaves the value alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, TypeAlias

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.contract.query_blocks import query_by_query
from tagxai.errors import UnsupportedError
from tagxai.lazy import Float, torch
from tagxai.probing.forward_mode import moving, tangent_of, value_of
from tagxai.probing.hooks import hook_after, hook_before

SoftmaxRule: TypeAlias = Literal["taylor", "held"]
"""`taylor` is AttnLRP's: relevance goes to queries, keys and values, and the softmax keeps a part. `held` sends all of
it to values, with weights as they are (Ali et al., ICML 2022), and keeps none."""

BESIDE = ("audio", "biases", "softmax")
"""Sources of relevance beside the prompt: the clip's past codes, with their positions, and what layers add of their
own."""


@contextmanager
def ruled(
    sites: Sequence[AttentionSite], sources: Float[torch.Tensor, "rows 3"], softmax: SoftmaxRule
) -> Iterator[None]:
    """Inside the block, a pass on dual numbers follows the rules; row i moves with each of `BESIDE` by `sources[i]`."""
    rules = Rules(sources, softmax)
    with ExitStack() as stack:
        stack.enter_context(hook_before(sites[0].block, rules.enter))
        for block in blocks(sites):
            first, second = feed_forward(block, sites)
            stack.enter_context(hook_after(first, rules.keep))
            stack.enter_context(hook_before(second, rules.activate))
            for module in block.modules():
                if isinstance(module, torch.nn.LayerNorm):
                    stack.enter_context(hook_after(module, rules.normalise))
                elif isinstance(module, torch.nn.Linear) and module.bias is not None:
                    stack.enter_context(hook_after(module, rules.add_bias))
        if softmax == "taylor":
            for site in sites:
                stack.enter_context(hook_before(site.projection, _halve))
        stack.enter_context(edit_attention(sites, rules.attend))
        yield


class Rules:
    """The hooks of one pass."""

    def __init__(self, sources: Float[torch.Tensor, "rows 3"], softmax: SoftmaxRule) -> None:
        self.audio, self.biases, self.softmaxes = (each[:, None, None] for each in sources.unbind(1))
        self.softmax = softmax
        self._inactive: torch.Tensor | None = None

    def enter(self, _: torch.nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The stream that enters the first layer is the clip's own past."""
        stream, *rest = arguments
        return moving(stream, tangent_of(stream) + self.audio.to(stream) * value_of(stream)), *rest

    @query_by_query
    def attend(self, _: AttentionSite, weights: torch.Tensor) -> torch.Tensor:
        """Half of a logit's relevance is the query's and half the key's; a softmax hands on its derivative."""
        if self.softmax == "held":
            return value_of(weights)
        logits = attention_call().logits
        weights = moving(logits, tangent_of(logits) / 2).softmax(-1)
        value = value_of(weights)
        seen = value_of(logits).masked_fill(value == 0, 0)
        handed_on = value * (seen - (value * seen).sum(-1, keepdim=True))
        return moving(weights, tangent_of(weights) + self.softmaxes[..., None].to(value) * (value - handed_on))

    def keep(self, _: torch.nn.Module, __: Any, ___: Any, output: torch.Tensor) -> None:
        """What an activation is given."""
        self._inactive = output

    def activate(self, _: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        """An activation hands on what it is given: as if it multiplied by f(z) / z."""
        (active,), before = inputs, self._inactive
        assert before is not None, "the first linear layer runs before the second"
        factor = torch.where(value_of(before) == 0, 0, value_of(active) / value_of(before))
        return (moving(active, factor * tangent_of(before)),)

    def normalise(self, norm: Any, arguments: tuple[torch.Tensor, ...], _: Any, output: torch.Tensor) -> torch.Tensor:
        """The scale of a norm is held."""
        (stream,) = arguments
        value, tangent = value_of(stream).float(), tangent_of(stream).float()
        scale = (value.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
        held = (tangent - tangent.mean(-1, keepdim=True)) / scale * norm.weight
        return moving(output, held if norm.bias is None else held + self.biases.to(held) * norm.bias)

    def add_bias(self, linear: Any, _: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        return moving(output, tangent_of(output) + self.biases.to(output) * linear.bias)


def _halve(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Half of the relevance of weights times values is the weights', and half the values'."""
    (mixed,) = inputs
    return (moving(mixed, tangent_of(mixed) / 2),)


def blocks(sites: Iterable[AttentionSite]) -> list[torch.nn.Module]:
    """The layers around the sites, each once."""
    return list({id(site.block): site.block for site in sites}.values())


def feed_forward(block: torch.nn.Module, sites: Sequence[AttentionSite]) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The linear layers before and after a layer's activation. Raises UnsupportedError for a layer of other parts."""
    inside = {id(part) for site in sites for part in site.module.modules()}
    parts = [part for part in block.modules() if id(part) not in inside and not any(True for _ in part.children())]
    ruled = (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.Dropout, torch.nn.Identity)
    other = [part for part in parts if not isinstance(part, ruled) and "activation" not in type(part).__module__]
    linear = [part for part in parts if isinstance(part, torch.nn.Linear)]
    if other or len(linear) != 2:
        found = f"a {type(other[0]).__name__}" if other else f"{len(linear)} linear layers beside its attention"
        raise UnsupportedError(
            f"AttnLRP has no rules for {type(block).__name__}, which has {found}; expected two linear layers around an "
            "activation, and layer norms"
        )
    return linear[0], linear[1]
