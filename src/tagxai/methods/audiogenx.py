"""AudioGenX: masks over text tokens, learned for every audio step (Kang et al., AAAI 2025, arXiv 2502.00459).

A mask M[steps, tokens] multiplies the cross-attention weights of every layer and head. It is learned so that the hidden
states under M stay close to the original ones (factual) and those under 1 - M move away (counterfactual).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar, Literal, NamedTuple, get_args

from jaxtyping import Float

from tagxai.attribution import Attribution
from tagxai.base import Generator, Method
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.hooks import Gate, edit_attention
from tagxai.lazy import torch
from tagxai.memory import Workload
from tagxai.types import Conditioning, Generation, OnProgress, Progress, undo_delay

Mode = Literal["teacher_forced", "reference"]

PAPER_ALPHA, PAPER_BETA = 1e-3, 1e-1

_SMALLEST = {"epochs": 1, "hidden_units": 1, "patience": 0, "temperature": 1e-6} | dict.fromkeys(
    ("learning_rate", "weight_decay", "alpha", "beta", "tolerance"), 0
)


class Similarity(NamedTuple):
    """Cosine similarity of masked to original hidden states, each `[steps]`."""

    factual: Float[torch.Tensor, " steps"]
    counterfactual: Float[torch.Tensor, " steps"]


@dataclass(frozen=True)
class AudioGenX(Method):
    """AudioGenX: a mask per audio step and text token, learned by gradient descent (Kang et al., AAAI 2025)."""

    name: ClassVar[str] = "audiogenx"
    needs = frozenset({"gradients", "attention"})

    mode: Mode = "teacher_forced"
    """`teacher_forced` runs all steps in one causal pass, with audio context. `reference` replays every step alone at
    position 0, as the authors' public scripts do; it is there for comparison."""
    explainer: Literal["logits", "mlp"] | None = None
    """What is learned: one logit per step and token, or the paper's MLP per step on the token embedding. None takes
    logits in `teacher_forced` mode and the MLP in `reference` mode."""
    epochs: int | None = None
    """None takes the paper's 50 for the MLP; logits need 10 to reach a lower loss with the paper's weights."""
    learning_rate: float | None = None
    """Of Adam. None takes the paper's 1e-3 for the MLP and 1 for logits."""
    weight_decay: float | None = None
    """Of Adam. None takes the paper's 1e-3 for the MLP and 0 for logits, which it would draw to a mask of 0.5."""
    alpha: float | None = None
    """Weight of the mask's L1 norm. None takes the paper's 1e-3 for the MLP and 1e-2 for logits: they reach the optimum
    of the loss, where 1e-3 leaves every token that helps a little at 1."""
    beta: float = PAPER_BETA
    """Weight of the mask's L2 norm."""
    temperature: float = 1.0
    """Of the binary concrete distribution that masks are drawn from while learning."""
    noise: bool = True
    """Draw masks while learning (as the paper), or use their noise-free value."""
    hidden_units: int = 512
    """Of each step's MLP."""
    patience: int = 5
    """Stop after this many epochs without a loss better by `tolerance`; 0 never stops early."""
    tolerance: float = 1e-3
    """Relative to the number of steps, which bounds the similarity terms of the loss."""
    seed: int = 0
    """Of the explainer's first weights and of the noise."""

    def __post_init__(self) -> None:
        for field, choices in (("mode", get_args(Mode)), ("explainer", ("logits", "mlp", None))):
            if getattr(self, field) not in choices:
                raise UnknownNameError(
                    f"value for option {field!r} of method 'audiogenx'", str(getattr(self, field)), map(str, choices)
                )
        for field, smallest in _SMALLEST.items():
            value = getattr(self, field)
            if value is not None and not value >= smallest:
                raise TagxaiError(
                    f"option {field!r} of method 'audiogenx' must be at least {smallest:g}, not {value:g}"
                )

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        conditioning = generator.encode_prompt([generation.prompt])
        target = original_states(generator, generation, conditioning)
        random = torch.Generator().manual_seed(self.seed)
        explainer, parameters = self._make_explainer(conditioning.embeddings[0], generation.steps, random)
        epochs, learning_rate, weight_decay = self._schedule
        optimizer = torch.optim.Adam(parameters, lr=learning_rate, weight_decay=weight_decay)

        losses: list[float] = []
        for epoch in range(epochs):
            logits = explainer()
            similarity = compare(
                generator, generation, conditioning, target, self._sample(logits, random), isolated=self._isolated
            )
            loss = self.loss(similarity, logits.sigmoid())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if on_progress is not None:
                on_progress(Progress(epoch + 1, epochs, f"AudioGenX, loss {losses[-1]:.3f}"))
            if self._has_converged(losses, generation.steps):
                break

        with torch.no_grad():
            mask = explainer().sigmoid()  # noise-free: p itself, not a draw
            reached = compare(generator, generation, conditioning, target, mask)
        return Attribution(
            generation,
            undo_delay(mask, generation.delays, generation.frames).float().cpu(),
            self.name,
            self.settings(),
            is_mask=True,
            merge="mean",
            cost={
                "seconds": perf_counter() - started,
                "epochs": len(losses),
                "trainable_parameters": sum(p.numel() for p in parameters),
            },
            diagnostics={
                "used": {  # what a setting of None stood for
                    "explainer": self._explainer,
                    "epochs": epochs,
                    "learning_rate": learning_rate,
                    "weight_decay": weight_decay,
                    "alpha": self._alpha,
                },
                "loss": losses,
                "paper_loss_teacher_forced": objective(reached, mask).item(),
                "cosine_factual": reached.factual.mean().item(),
                "cosine_counterfactual": reached.counterfactual.mean().item(),
            },
        )

    def memory(self, work: Workload) -> int:
        learned = work.tokens if self._explainer == "logits" else (work.width + 2) * self.hidden_units + 2
        explainer = 4 * work.steps * learned * 4  # float32; a gradient and Adam's two moments beside each
        # Isolated steps do not share the text's keys and values.
        text = 2 * work.steps * work.layers * 2 * work.tokens * work.width * work.element if self._isolated else 0
        return work.backward(2) + explainer + text

    def loss(self, similarity: Similarity, mask: Float[torch.Tensor, "steps tokens"]) -> Float[torch.Tensor, ""]:
        """The paper's loss, with this method's weights."""
        return objective(similarity, mask, self._alpha, self.beta)

    @property
    def _isolated(self) -> bool:
        return self.mode == "reference"

    @property
    def _explainer(self) -> str:
        return self.explainer or ("mlp" if self.mode == "reference" else "logits")

    @property
    def _alpha(self) -> float:
        return self.alpha if self.alpha is not None else PAPER_ALPHA if self._explainer == "mlp" else 1e-2

    @property
    def _schedule(self) -> tuple[int, float, float]:
        """Epochs, learning rate and weight decay: as set, else what suits what is learned."""
        defaults = (50, 1e-3, 1e-3) if self._explainer == "mlp" else (10, 1.0, 0.0)
        chosen = (self.epochs, self.learning_rate, self.weight_decay)
        epochs, rate, decay = (d if c is None else c for c, d in zip(chosen, defaults, strict=True))
        return int(epochs), rate, decay

    def _sample(self, logits: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """A draw from the binary concrete distribution, or its noise-free value."""
        if not self.noise:
            return (logits / self.temperature).sigmoid()
        uniform = torch.rand(logits.shape, generator=random).clamp(1e-6, 1 - 1e-6)
        return ((logits + uniform.logit().to(logits)) / self.temperature).sigmoid()

    def _has_converged(self, losses: list[float], steps: int) -> bool:
        if self.patience == 0 or len(losses) <= self.patience:
            return False
        return min(losses[: -self.patience]) - min(losses[-self.patience :]) < self.tolerance * steps

    def _make_explainer(
        self, embeddings: Float[torch.Tensor, "tokens dim"], steps: int, random: torch.Generator
    ) -> tuple[Callable[[], torch.Tensor], list[torch.Tensor]]:
        """A function that gives the mask's logits `[steps, tokens]`, and the parameters that it learns."""

        def parameter(*shape: int, bound: float) -> torch.Tensor:
            uniform = torch.rand(shape, generator=random) * (2 * bound) - bound
            return uniform.to(embeddings.device, torch.float32).requires_grad_()

        tokens, dim = embeddings.shape
        if self._explainer == "logits":
            logits = parameter(steps, tokens, bound=0.0)
            return (lambda: logits), [logits]
        hidden, inputs = self.hidden_units, embeddings.float()
        weights = [
            parameter(steps, dim, hidden, bound=dim**-0.5),
            parameter(steps, 1, hidden, bound=dim**-0.5),
            torch.full((steps, 1, 1), 0.25, device=embeddings.device, requires_grad=True),
            parameter(steps, hidden, 1, bound=hidden**-0.5),
            parameter(steps, 1, 1, bound=hidden**-0.5),
        ]

        def mlps() -> torch.Tensor:
            """All steps' MLPs at once: Linear - PReLU - Linear as batched products."""
            first, first_bias, slope, second, second_bias = weights
            raised = inputs @ first + first_bias
            return ((raised.clamp(min=0) + slope * raised.clamp(max=0)) @ second + second_bias)[..., 0]

        return mlps, weights


def objective(
    similarity: Similarity,
    mask: Float[torch.Tensor, "steps tokens"],
    alpha: float = PAPER_ALPHA,
    beta: float = PAPER_BETA,
) -> Float[torch.Tensor, ""]:
    """L = L_F + L_CF + alpha * sum |p| + beta * sqrt(sum p^2) (paper, section "Objective")."""
    size = alpha * mask.abs().sum() + beta * mask.square().sum().sqrt()
    return similarity.counterfactual.sum() - similarity.factual.sum() + size


def original_states(
    generator: Generator, generation: Generation, conditioning: Conditioning
) -> Float[torch.Tensor, "steps dim"]:
    """u_t: the conditional hidden states of the original clip, in its own audio context."""
    with torch.no_grad():
        return generator.forward(generation, conditioning, log_prob=False).hidden[0]


def compare(
    generator: Generator,
    generation: Generation,
    conditioning: Conditioning,
    target: Float[torch.Tensor, "steps dim"],
    mask: Float[torch.Tensor, "steps tokens"],
    *,
    isolated: bool = False,
) -> Similarity:
    """Hidden states under `mask` and under one minus it, in one batch, against the original ones."""
    gate = torch.stack([mask, 1 - mask])
    if isolated:  # every step is a row of its own
        gate = gate.reshape(-1, 1, gate.shape[-1])
    with edit_attention(generator.cross_attention(), Gate(gate)):
        hidden = generator.forward(generation, conditioning.expand(2), log_prob=False, isolated=isolated).hidden
    factual, counterfactual = torch.nn.functional.cosine_similarity(hidden.float(), target.float(), dim=-1)
    return Similarity(factual, counterfactual)
