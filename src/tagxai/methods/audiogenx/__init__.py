"""AudioGenX: masks over text tokens, learned for every audio step (Kang et al., AAAI 2025, arXiv 2502.00459).

A mask M[positions, tokens] multiplies the cross-attention weights of every layer and head. It is learned so that the
hidden states under M stay close to the original ones (factual) and those under 1 - M move away (counterfactual).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from tagxai.contract.generator import Capability
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import Workload
from tagxai.errors import TagxaiError, UnknownNameError, UnsupportedError
from tagxai.lazy import Float, torch
from tagxai.methods.audiogenx import masks
from tagxai.methods.audiogenx.learning import AT_ONCE, Learned, Learner, Mask, Subject, in_batches, step
from tagxai.methods.audiogenx.masks import Distribution, WarmStart
from tagxai.methods.audiogenx.objective import (
    PAPER_BETA,
    Similarity,
    compare,
    compare_likelihoods,
    compare_together,
    objective,
)
from tagxai.methods.audiogenx.schedule import LATENT_LOGITS, LOGITS, PAPER, Schedule
from tagxai.probing.choice import choose

Mode = Literal["teacher_forced", "reference"]
SimilarityOf = Literal["hidden", "likelihood"]

_CHOICES = {
    "mode": get_args(Mode),
    "explainer": ("logits", "mlp", None),
    "similarity": get_args(SimilarityOf),
    "distribution": get_args(Distribution),
    "warm_start": (*get_args(WarmStart), None),
}
_SMALLEST = {"epochs": 1, "hidden_units": 1, "seeds": 1, "patience": 0, "temperature": 1e-6} | dict.fromkeys(
    ("learning_rate", "weight_decay", "adam_beta1", "alpha", "beta", "smoothness", "start_scale", "tolerance"), 0
)


@dataclass(frozen=True)
class AudioGenX(Method):
    """AudioGenX: a mask per audio step and text token, learned by gradient descent (Kang et al., AAAI 2025)."""

    family: ClassVar[str] = "learned mask"
    name: ClassVar[str] = "audiogenx"
    needs: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention"})
    expense: ClassVar[str] = "2 x epochs forward and backward passes"

    mode: Mode = "teacher_forced"
    """`teacher_forced` runs all steps in one causal pass, with audio context. `reference` replays every step alone at
    position 0, as the authors' public scripts do; it is there for comparison."""
    explainer: Literal["logits", "mlp"] | None = None
    """What is learned: one logit per step and token, or the paper's MLP per step on the token embedding. None takes
    logits in `teacher_forced` mode and the MLP in `reference` mode."""
    similarity: SimilarityOf = "hidden"
    """What a mask is to keep, and one minus it to change: `hidden` states (by their cosine, the paper's), or the
    `likelihood` of the clip's own outcomes (the share of it that is left)."""
    levels: str | None = None
    """Noise levels of a latent model at which outcomes are compared, such as `0,1` (0 is the noisiest); none means
    all."""
    epochs: int | None = None
    """None takes the paper's 50 for the MLP and 10 for logits."""
    learning_rate: float | None = None
    """Adam's learning rate. None takes the paper's 1e-3 for the MLP, and for logits 1.5, or 0.1 for latent models."""
    weight_decay: float | None = None
    """Adam's weight decay. None takes the paper's 1e-3 for the MLP and 0 for logits, which it would pull
    to a mask of 0.5."""
    adam_beta1: float | None = None
    """Adam's decay of the mean gradient. None takes Adam's own 0.9 for the MLP and 0.5 for logits, whose few epochs
    are too short for a longer memory."""
    alpha: float | None = None
    """Weight of the mask's L1 norm. None takes the paper's 1e-3 for the MLP and 3e-2 for logits: they reach the optimum
    of the loss, where 1e-3 leaves every token that helps a little at 1."""
    beta: float = PAPER_BETA
    """Weight of the mask's L2 norm."""
    smoothness: float | None = None
    """Weight of the mask's total variation over steps, which the paper does not have. None takes 0 for the MLP and 0.01
    for logits."""
    distribution: Distribution = "concrete"
    """What masks are drawn from while learning: the paper's binary concrete distribution, or the `hard_concrete` one
    (Louizos et al., ICLR 2018), whose masks reach 0 and 1; `alpha` then counts the tokens whose mask is not 0."""
    temperature: float = 1.0
    """Temperature of that distribution."""
    noise: bool | None = None
    """Draw masks while learning, or use their noise-free value. None draws for the MLP, as the paper, and where there
    are several `seeds`; logits are learned without noise, which costs them precision."""
    warm_start: WarmStart | None = None
    """Start the logits from a mask of 0.5 (`half`), raw cross-`attention`, input x `gradient`, `value_zeroing` or
    `value_norms`. None takes `value_zeroing`, and `value_norms` for latent models. The MLP starts from its first
    weights."""
    start_scale: float | None = None
    """What the warm start's logits are multiplied by: below 1, learning can more easily leave them. None takes 0.5,
    and 1 for latent models."""
    hidden_units: int = 512
    """Hidden units of each position's MLP."""
    patience: int | None = None
    """Stop after this many epochs without a loss better by `tolerance`; 0 never stops early. None takes 5 in
    `teacher_forced` mode and 0 in `reference` mode: all of the paper's epochs."""
    tolerance: float = 1e-3
    """Relative to the number of steps, which bounds the similarity terms of the loss."""
    seed: int = 0
    """Seed of the explainer's first weights and of the noise."""
    seeds: int = 1
    """Learn this many masks, with seeds from `seed` upwards; scores are their mean, and `deviation` is their spread."""

    def __post_init__(self) -> None:
        for field, choices in _CHOICES.items():
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
        if self.adam_beta1 is not None:
            self.require("adam_beta1", self.adam_beta1 < 1, "below 1")
        if self.warm_start and self._explainer == "mlp":
            raise TagxaiError("option 'warm_start' of method 'audiogenx' is for explainer=logits, not for mlp")
        if self.similarity == "likelihood" and self.mode == "reference":
            raise TagxaiError("option 'similarity' of method 'audiogenx' is likelihood in mode=teacher_forced alone")
        if self.seeds > 1 and self.noise is False and self._explainer == "logits":
            raise TagxaiError(
                "option 'seeds' of method 'audiogenx' means nothing with noise=false and explainer=logits: all masks "
                "are the same; leave out one of the two"
            )

    def explain(self, run: Run) -> Scores:
        return self.explain_many([run])[0]

    def explain_many(self, runs: Sequence[Run]) -> list[Scores]:
        """Score several clips, whose masks are learned in one batch where the generator can, as memory allows. They are
        those that `explain` learns one at a time: on a CPU in float32 bit for bit."""
        subjects, schedule = [], self.schedule_for(runs[0].generation.timeline.levels)
        for run in runs:
            with run.working():
                subject, schedule = self._subject(run, schedule)
                subjects.append(subject)
        all_masks = [(subject, seed) for subject in subjects for seed in range(self.seed, self.seed + self.seeds)]
        works = [Workload.of(run.model, run.generation.positions, run.conditioning) for run in runs]
        learned = in_batches(
            all_masks,
            lambda now, before: self._learn(now, schedule, before, len(all_masks)),
            max(map(self.peak_memory, works)),
            AT_ONCE if self._shares_passes else 1,
        )
        found = []
        for number, subject in enumerate(subjects):
            with subject.run.working():
                own = learned[number * self.seeds : (number + 1) * self.seeds]
                found.append(self._scores(subject, schedule, own))
        return found

    def _subject(self, run: Run, schedule: Schedule) -> tuple[Subject, Schedule]:
        """What the clip's masks are learned from, and how."""
        target = run.forward() if self.similarity == "likelihood" else None
        states = run.hidden_states() if target is None else target.hidden
        try:
            start = None if self._explainer == "mlp" else masks.warm_start(schedule.warm_start, run)
        except UnsupportedError:  # the model shows no layers to zero values in
            if self.warm_start is not None:
                raise
            schedule, start = schedule._replace(warm_start="half"), None
        levels = self._levels(run)
        return Subject(run, states[0], None if target is None else target.log_prob[0], start, levels), schedule

    def _scores(self, subject: Subject, schedule: Schedule, learned: Sequence[Learned]) -> Scores:
        each = torch.stack([masks.noise_free(one.logits, self.distribution) for one in learned])
        mask = each.mean(0)
        reached = compare(subject.run, subject.states, mask, levels=subject.levels)
        to_frames = subject.run.generation.timeline.to_frames
        return Scores.mask(
            to_frames(mask),
            deviation=to_frames(each.std(0, correction=0)) if self.seeds > 1 else None,
            used={"explainer": self._explainer, **schedule._asdict()},
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

    def _levels(self, run: Run) -> list[int] | None:
        """The chosen noise levels; None where all count."""
        count = run.generation.timeline.levels
        return None if self.levels is None or count == 1 else choose("noise level", self.levels, count)

    def peak_memory(self, work: Workload) -> int:
        learned = work.tokens if self._explainer == "logits" else (work.width + 2) * self.hidden_units + 2
        explainer = 4 * work.positions * learned * 4  # float32; a gradient and Adam's two moments beside each
        # Isolated steps do not share the text's keys and values.
        isolated = self.mode == "reference"
        text = 2 * work.positions * work.layers * 2 * work.tokens * work.width * work.element if isolated else 0
        return work.backward(2) + explainer + text

    def _learn(self, now: Sequence[Mask], schedule: Schedule, before: int, in_all: int) -> list[Learned]:
        """Some masks, in one batch; each is finished when its own loss has converged. `before` were learned before."""
        learners = [self._learner(subject, schedule, seed) for subject, seed in now]
        for epoch in range(schedule.epochs):
            running = [one for one in learners if not schedule.has_converged(one.losses, self._tolerated(one))]
            if not running:
                break
            step(running, lambda running: self._losses(running, schedule))
            done = before * schedule.epochs + len(now) * (epoch + 1)
            loss = sum(one.losses[-1] for one in running) / len(running)
            running[0].run.report(done, in_all * schedule.epochs, f"AudioGenX, loss {loss:.3f}")
        return [Learned.by(one) for one in learners]

    def _learner(self, subject: Subject, schedule: Schedule, seed: int) -> Learner:
        random = torch.Generator().manual_seed(seed)
        positions, embeddings = subject.run.generation.positions, subject.run.conditioning.embeddings[0]
        if self._explainer == "mlp":
            explainer, parameters = masks.mlps(positions, embeddings, self.hidden_units, random)
        else:
            first = None if subject.start is None else schedule.start_scale * subject.start
            explainer, parameters = masks.free_logits(positions, embeddings, first)
        return Learner(subject, explainer, parameters, random, schedule.adam(parameters))

    def _losses(self, running: Sequence[Learner], schedule: Schedule) -> list[torch.Tensor]:
        logits = [one.logits() for one in running]
        drawn = [
            masks.draw(own, self.temperature, one.random if schedule.noise else None, self.distribution)
            for own, one in zip(logits, running, strict=True)
        ]
        similarities = self._similarities([one.subject for one in running], drawn)
        return [self.loss(*both, schedule) for both in zip(similarities, logits, strict=True)]

    def _similarities(self, subjects: Sequence[Subject], drawn: Sequence[torch.Tensor]) -> list[Similarity]:
        if self._shares_passes:
            states = [subject.states for subject in subjects]
            return compare_together([subject.run for subject in subjects], states, drawn, levels=subjects[0].levels)
        return [
            compare(subject.run, subject.states, mask, levels=subject.levels, isolated=True)
            if subject.log_prob is None
            else compare_likelihoods(subject.run, subject.log_prob, mask, levels=subject.levels)
            for subject, mask in zip(subjects, drawn, strict=True)
        ]

    def loss(
        self, similarity: Similarity, logits: Float[torch.Tensor, "positions tokens"], schedule: Schedule | None = None
    ) -> Float[torch.Tensor, ""]:
        """The paper's loss of a mask's logits, with this method's weights; hard masks are counted, not summed."""
        schedule, mask = schedule or self.schedule, masks.noise_free(logits, self.distribution)
        count = masks.presence(logits, self.temperature, self.distribution).sum()
        variation = mask.diff(dim=0).abs().sum()
        return objective(similarity, mask, 0.0, self.beta) + schedule.alpha * count + schedule.smoothness * variation

    @property
    def _explainer(self) -> str:
        return self.explainer or ("mlp" if self.mode == "reference" else "logits")

    @property
    def schedule(self) -> Schedule:
        """How it learns from codes."""
        return self.schedule_for(1)

    def schedule_for(self, levels: int) -> Schedule:
        """How it learns from a clip of so many noise levels: as set, else what suits what is learned."""
        logits = LATENT_LOGITS if levels > 1 else LOGITS
        suited = PAPER if self._explainer == "mlp" else logits
        if self.mode == "reference":
            suited = suited._replace(patience=0)
        if self.seeds > 1:
            suited = suited._replace(noise=True)
        chosen = {name: getattr(self, name) for name in Schedule._fields}
        return suited._replace(**{name: value for name, value in chosen.items() if value is not None})

    def _tolerated(self, one: Learner) -> float:
        return self.tolerance * one.run.generation.positions

    @property
    def _shares_passes(self) -> bool:
        """Whether passes under several masks can be one; likelihoods and isolated steps are asked for one at a time."""
        return self.similarity == "hidden" and self.mode == "teacher_forced"
