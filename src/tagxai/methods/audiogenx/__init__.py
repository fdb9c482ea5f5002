"""AudioGenX: masks over text tokens, learned for every audio step (Kang et al., AAAI 2025, arXiv 2502.00459).

A mask M[positions, tokens] multiplies the cross-attention weights of every layer and head. It is learned so that the
hidden states under M stay close to the original ones (factual) and those under 1 - M move away (counterfactual).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from jaxtyping import Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import count
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import torch
from tagxai.methods.audiogenx import masks
from tagxai.methods.audiogenx.masks import Distribution, Explainer, WarmStart
from tagxai.methods.audiogenx.objective import PAPER_ALPHA, PAPER_BETA, Similarity, compare, compare_each, objective

Mode = Literal["teacher_forced", "reference"]

_CHOICES = {
    "mode": get_args(Mode),
    "explainer": ("logits", "mlp", None),
    "distribution": get_args(Distribution),
    "warm_start": (*get_args(WarmStart), None),
}
_SMALLEST = {"epochs": 1, "hidden_units": 1, "seeds": 1, "patience": 0, "temperature": 1e-6} | dict.fromkeys(
    ("learning_rate", "weight_decay", "alpha", "beta", "smoothness", "tolerance"), 0
)


@dataclass(frozen=True)
class AudioGenX(Method):
    """AudioGenX: a mask per audio step and text token, learned by gradient descent (Kang et al., AAAI 2025)."""

    name: ClassVar[str] = "audiogenx"
    needs: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention"})
    expense: ClassVar[str] = "2 x epochs forward and backward passes"

    mode: Mode = "teacher_forced"
    """`teacher_forced` runs all steps in one causal pass, with audio context. `reference` replays every step alone at
    position 0, as the authors' public scripts do; it is there for comparison."""
    explainer: Literal["logits", "mlp"] | None = None
    """What is learned: one logit per step and token, or the paper's MLP per step on the token embedding. None takes
    logits in `teacher_forced` mode and the MLP in `reference` mode."""
    epochs: int | None = None
    """None takes the paper's 50 for the MLP and 10 for logits; 15 of logits from a `warm_start` end at its loss."""
    learning_rate: float | None = None
    """Adam's learning rate. None takes the paper's 1e-3 for the MLP and 1 for logits."""
    weight_decay: float | None = None
    """Adam's weight decay. None takes the paper's 1e-3 for the MLP and 0 for logits, which it would pull
    to a mask of 0.5."""
    alpha: float | None = None
    """Weight of the mask's L1 norm. None takes the paper's 1e-3 for the MLP and 2e-2 for logits: they reach the optimum
    of the loss, where 1e-3 leaves every token that helps a little at 1."""
    beta: float = PAPER_BETA
    """Weight of the mask's L2 norm."""
    smoothness: float = 0.0
    """Weight of the mask's total variation over steps, which the paper does not have."""
    distribution: Distribution = "concrete"
    """What masks are drawn from while learning: the paper's binary concrete distribution, or the `hard_concrete` one
    (Louizos et al., ICLR 2018), whose masks reach 0 and 1; `alpha` then counts the tokens whose mask is not 0."""
    temperature: float = 1.0
    """Temperature of that distribution."""
    noise: bool = True
    """Draw masks while learning (as the paper), or use their noise-free value."""
    warm_start: WarmStart | None = None
    """Start the logits from raw cross-attention, or from input x gradient; None starts from a mask of 0.5."""
    hidden_units: int = 512
    """Hidden units of each position's MLP."""
    patience: int = 5
    """Stop after this many epochs without a loss better by `tolerance`; 0 never stops early."""
    tolerance: float = 1e-3
    """Relative to the number of steps, which bounds the similarity terms of the loss."""
    seed: int = 0
    """Seed of the explainer's first weights and of the noise."""
    seeds: int = 1
    """Learn this many masks, with seeds from `seed` upwards; scores are their mean, `deviation` tells their spread."""

    def __post_init__(self) -> None:
        for option, choices in _CHOICES.items():
            if getattr(self, option) not in choices:
                raise UnknownNameError(
                    f"value for option {option!r} of method 'audiogenx'", str(getattr(self, option)), map(str, choices)
                )
        for option, smallest in _SMALLEST.items():
            value = getattr(self, option)
            if value is not None and not value >= smallest:
                raise TagxaiError(
                    f"option {option!r} of method 'audiogenx' must be at least {smallest:g}, not {value:g}"
                )
        if self.warm_start and self._explainer == "mlp":
            raise TagxaiError("option 'warm_start' of method 'audiogenx' is for explainer=logits, not for mlp")

    def explain(self, run: Run) -> Scores:
        target, start = self._prepared(run)
        return self._scores(run, target, [self._learn(run, target, start, [i])[0] for i in range(self.seeds)])

    def attribute_many(
        self, generator: Generator, generations: Sequence[Generation], *, on_progress: OnProgress | None = None
    ) -> list[Attribution]:
        """Explain several clips, one after another: a pass takes one. The masks of all seeds of a clip are learned in
        one batch, and differ from those that `attribute` learns one at a time by rounding alone."""
        self.check_supported(generator)
        found = []
        for generation in generations:
            with Run.opened(generator, generation, on_progress) as run:
                target, start = self._prepared(run)
                learned = self._learn(run, target, start, range(self.seeds))
                found.append(run.attribution(self.name, self.settings(), self._scores(run, target, learned)))
        return found

    def _prepared(self, run: Run) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The original hidden states, and the logits to start from."""
        return run.hidden_states()[0], masks.warm_start(self.warm_start, run) if self.warm_start else None

    def _scores(self, run: Run, target: Float[torch.Tensor, "positions dim"], learned: Sequence[_Learned]) -> Scores:
        each = torch.stack([one.mask for one in learned])
        mask = each.mean(0)
        reached = compare(run, target, mask)
        to_frames = run.generation.timeline.to_frames
        return Scores.mask(
            to_frames(mask),
            deviation=to_frames(each.std(0, correction=0)) if self.seeds > 1 else None,
            used=self._used(),
            diagnostics={
                "epochs": sum(len(one.losses) for one in learned),
                "trainable_parameters": learned[0].parameters,
                "loss": learned[0].losses,
                **({"loss_of_each_seed": [one.losses for one in learned]} if self.seeds > 1 else {}),
                "paper_loss_teacher_forced": objective(reached, mask).item(),
                "cosine_factual": reached.factual.mean().item(),
                "cosine_counterfactual": reached.counterfactual.mean().item(),
            },
        )

    def _used(self) -> dict[str, Any]:
        """What the options of None stood for."""
        epochs, learning_rate, weight_decay = self._schedule
        return {
            "explainer": self._explainer,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "alpha": self._alpha,
        }

    def peak_memory(self, work: Workload) -> int:
        learned = work.tokens if self._explainer == "logits" else (work.width + 2) * self.hidden_units + 2
        explainer = 4 * work.positions * learned * 4  # float32; a gradient and Adam's two moments beside each
        # Isolated steps do not share the text's keys and values.
        isolated = self.mode == "reference"
        text = 2 * work.positions * work.layers * 2 * work.tokens * work.width * work.element if isolated else 0
        return work.backward(2) + explainer + text

    def _learn(
        self,
        run: Run,
        target: Float[torch.Tensor, "positions dim"],
        start: Float[torch.Tensor, "positions tokens"] | None,
        numbers: Sequence[int],
    ) -> list[_Learned]:
        """The masks of these seeds, from the logits `start`, in one batch; each stops when its own loss converges."""
        epochs, _, _ = self._schedule
        learners = [self._learner(run, start, number) for number in numbers]
        for epoch in range(epochs):
            running = [learner for learner in learners if not self._has_converged(learner.losses, len(target))]
            if not running:
                break
            with torch.enable_grad():
                logits = [learner.logits() for learner in running]
                drawn = [
                    masks.draw(one, self.temperature, learner.random if self.noise else None, self.distribution)
                    for one, learner in zip(logits, running, strict=True)
                ]
                reached = compare_each(run, target, drawn, isolated=self.mode == "reference")
                losses = [self.loss(one, its_logits) for one, its_logits in zip(reached, logits, strict=True)]
                whole = sum(losses[1:], losses[0])
            for learner in running:
                learner.optimizer.zero_grad(set_to_none=True)
            whole.backward()  # each loss depends on its own mask alone
            count(backward_passes=2 * len(running))
            for learner, loss in zip(running, losses, strict=True):
                learner.optimizer.step()
                learner.losses.append(loss.item())
            done = numbers[0] * epochs + (epoch + 1) * len(numbers)
            mean = sum(learner.losses[-1] for learner in running) / len(running)
            run.report(done, self.seeds * epochs, f"AudioGenX, loss {mean:.3f}")
        return [
            _Learned(masks.noise_free(learner.logits(), self.distribution), learner.losses, learner.parameters)
            for learner in learners
        ]

    def _learner(self, run: Run, start: Float[torch.Tensor, "positions tokens"] | None, number: int) -> _Learner:
        """What learns the mask of seed number `number`."""
        random = torch.Generator().manual_seed(self.seed + number)
        positions, embeddings = run.generation.positions, run.conditioning.embeddings[0]
        if self._explainer == "mlp":
            explainer, parameters = masks.mlps(positions, embeddings, self.hidden_units, random)
        else:
            explainer, parameters = masks.free_logits(positions, embeddings, start)
        _, learning_rate, weight_decay = self._schedule
        optimizer = torch.optim.Adam(parameters, lr=learning_rate, weight_decay=weight_decay)
        return _Learner(explainer, random, optimizer, sum(parameter.numel() for parameter in parameters))

    def loss(self, similarity: Similarity, logits: Float[torch.Tensor, "positions tokens"]) -> Float[torch.Tensor, ""]:
        """The paper's loss of a mask's logits, with this method's weights; hard masks are counted, not summed."""
        mask = masks.noise_free(logits, self.distribution)
        count = masks.presence(logits, self.temperature, self.distribution).sum()
        variation = mask.diff(dim=0).abs().sum()
        return objective(similarity, mask, 0.0, self.beta) + self._alpha * count + self.smoothness * variation

    @property
    def _explainer(self) -> str:
        return self.explainer or ("mlp" if self.mode == "reference" else "logits")

    @property
    def _alpha(self) -> float:
        return self.alpha if self.alpha is not None else PAPER_ALPHA if self._explainer == "mlp" else 2e-2

    @property
    def _schedule(self) -> tuple[int, float, float]:
        """Epochs, learning rate and weight decay: as set, else what suits what is learned."""
        defaults = (50, 1e-3, 1e-3) if self._explainer == "mlp" else (10, 1.0, 0.0)
        chosen = (self.epochs, self.learning_rate, self.weight_decay)
        epochs, rate, decay = (d if c is None else c for c, d in zip(chosen, defaults, strict=True))
        return int(epochs), rate, decay

    def _has_converged(self, losses: list[float], positions: int) -> bool:
        if self.patience == 0 or len(losses) <= self.patience:
            return False
        return min(losses[: -self.patience]) - min(losses[-self.patience :]) < self.tolerance * positions


@dataclass
class _Learner:
    """One mask while it is learned."""

    logits: Explainer
    random: torch.Generator
    optimizer: torch.optim.Adam
    parameters: int
    losses: list[float] = field(default_factory=list)


class _Learned(NamedTuple):
    mask: Float[torch.Tensor, "positions tokens"]
    losses: list[float]
    parameters: int
