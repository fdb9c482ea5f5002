"""The results of correct methods on the analytic model, computed from its polynomials without running it.

A term is a product of tokens. The operators `gate` and `null` remove the tokens that carry a word's meaning; `delete`
removes the words themselves; `attention` also gives the other tokens a larger share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import comb, prod
from typing import TYPE_CHECKING

from tagxai.contract.truth import TrueWord, Truth
from tagxai.contract.values import Generation
from tagxai.lazy import Bool, Float, torch
from tagxai.scoring import Operator
from tagxai_analytic.vocabulary import CEILING, EVENTS, KINDS, LINKS, MODIFIERS, VOCABULARY, Event, Link

if TYPE_CHECKING:  # it would load torch
    Scores = Float[torch.Tensor, "codebooks frames tokens"]


@dataclass(frozen=True, eq=False)
class Placed:
    """A term in one prompt: `strength`, at some codes, times a power of the scale of each of its tokens."""

    strength: float
    codes: Bool[torch.Tensor, "codebooks frames"]
    powers: Counter[int]


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """Log-probabilities and exact attributions of one clip, as float64 tensors `[codebooks, frames, tokens]`.

    Under the linear link, for code 1, each token of a term of strength s over m tokens gets
        s              by leave-one-out and input x gradient
        s / m          by Shapley values and integrated gradients
        s / 2^(m-1)    by Banzhaf values
    (a token that carries k of the term's d words gets k s by input x gradient, and k s / d by integrated gradients).
    """

    generation: Generation
    operator: Operator = "gate"

    @property
    def link(self) -> str:
        return self.generation.generator.partition(":")[2]

    @property
    def words(self) -> list[str]:
        """The text of each token; that of `</s>` is empty."""
        return [self.generation.prompt[start:end].lower() for start, end in self.generation.spans]

    @cached_property
    def terms(self) -> list[Placed]:
        generation, (codebooks, frames) = self.generation, self.generation.record["codes"].shape
        seconds = (torch.arange(frames) + 0.5) / generation.frame_rate
        link: Link = LINKS[self.link]
        placed = []
        for event in EVENTS.values():
            for term in event.terms:
                codes = torch.zeros(codebooks, frames, dtype=torch.bool)
                codes[event.codebook] = (term.start <= seconds) & (seconds < term.end)
                tokens = [[i for i, said in enumerate(self.words) if said == word] for word in term.words]
                for choice in product(*tokens):
                    placed.append(Placed(link.scale * term.strength, codes, Counter(map(self._carrier, choice))))
        return placed

    def _carrier(self, token: int) -> int:
        """The token that holds the meaning of the word at `token`; with `delete`, which removes words, that token."""
        return token + 1 if self.operator != "delete" and self.words[token] in MODIFIERS else token

    def log_prob(self, kept: Sequence[bool]) -> Float[torch.Tensor, "codebooks frames"]:
        """The log-probability of the clip's codes with only the tokens that are kept."""
        return self._of_code(self._logit(kept))

    def _logit(self, kept: Sequence[bool]) -> torch.Tensor:
        shared = len(kept) / max(1, sum(kept)) if self.operator == "attention" else 1.0
        logit = torch.full(self.generation.record["codes"].shape, LINKS[self.link].bias, dtype=torch.float64)
        for term in self.terms:
            present = prod((kept[token] * shared) ** power for token, power in term.powers.items())
            logit = logit + term.strength * present * term.codes
        return logit

    def _of_code(self, logit: torch.Tensor) -> torch.Tensor:
        """The log-probability of each code, given the logit."""
        ones = self.generation.record["codes"].cpu() == 1
        if self.link == "linear":
            logit = logit.clamp(max=CEILING)
            return torch.where(ones, logit, (-logit.expm1()).log())
        return torch.nn.functional.logsigmoid(torch.where(ones, logit, -logit))

    def _slope(self, logit: torch.Tensor) -> torch.Tensor:
        """The derivative of `_of_code` with respect to the logit."""
        ones = self.generation.record["codes"].cpu() == 1
        if self.link == "linear":
            return torch.where(ones, 1.0, logit.exp() / logit.expm1())
        return torch.where(ones, (-logit).sigmoid(), -logit.sigmoid())

    @property
    def _all(self) -> list[bool]:
        return [True] * len(self.words)

    def shares(self, share: Callable[[int, int, int], float]) -> Scores:
        """Shares of the logit: strength times `share(power of the token, degree of the term, tokens of the term)`."""
        scores = torch.zeros(*self.generation.record["codes"].shape, len(self.words), dtype=torch.float64)
        for term in self.terms:
            for token, power in term.powers.items():
                scores[..., token] += term.strength * share(power, term.powers.total(), len(term.powers)) * term.codes
        return scores

    def leave_one_out(self) -> Scores:
        """The log-probability lost without each token."""
        if self.operator == "attention":  # the other tokens change, too
            gone = [self._logit([i != token for i in range(len(self.words))]) for token in range(len(self.words))]
        else:
            gone = list((self._logit(self._all)[..., None] - self.shares(lambda k, d, m: 1.0)).unbind(-1))
        return torch.stack([self.log_prob(self._all) - self._of_code(logit) for logit in gone], -1)

    def input_x_gradient(self) -> Scores:
        return self._slope(self._logit(self._all))[..., None] * self.shares(lambda k, d, m: k)

    def integrated_gradients(self) -> Scores:
        """Integrated gradients from no prompt to the prompt.

        Along the path, the logit goes from a to b and the log-probability from L(a) to L(b). If all terms of a code
        have the same degree, every token's share of b - a is scaled by (L(b) - L(a)) / (b - a).
        """
        before, after = (self._logit([keep] * len(self.words)) for keep in (False, True))
        degrees = torch.stack([term.codes * term.powers.total() for term in self.terms])
        mixed = (degrees.amax(0) != torch.where(degrees > 0, degrees, 99).amin(0)) & (degrees.amax(0) > 0)
        if mixed.any() and not self._is_polynomial:
            raise ValueError("terms of several degrees at one code: no closed form but for code 1 of the linear link")
        moved = after - before
        secant = (self._of_code(after) - self._of_code(before)) / torch.where(moved == 0, 1.0, moved)
        stretch = torch.where(moved == 0, self._slope(after), secant)
        return stretch[..., None] * self.shares(lambda k, d, m: k / d)

    def shapley(self) -> Scores:
        if self._is_polynomial:
            return self.shares(lambda k, d, m: 1 / m)
        return self._mean_gain(lambda others, size: 1 / ((others + 1) * comb(others, size)))

    def banzhaf(self) -> Scores:
        if self._is_polynomial:
            return self.shares(lambda k, d, m: 0.5 ** (m - 1))
        return self._mean_gain(lambda others, size: 0.5**others)

    @property
    def _is_polynomial(self) -> bool:
        """Whether the log-probabilities themselves are the polynomials."""
        return (
            self.link == "linear"
            and self.operator != "attention"
            and bool((self.generation.record["codes"] == 1).all())
        )

    def _mean_gain(self, weight: Callable[[int, int], float]) -> Scores:
        """The definition: the weighted sum of what each token adds to every set of other tokens."""
        n = len(self.words)
        worth = {kept: self.log_prob(kept) for kept in product([False, True], repeat=n)}
        scores = torch.zeros(*self.generation.record["codes"].shape, n, dtype=torch.float64)
        for kept, value in worth.items():
            for token in (i for i in range(n) if not kept[i]):
                gain = worth[(*kept[:token], True, *kept[token + 1 :])] - value
                scores[..., token] += weight(n - 1, sum(kept)) * gain
        return scores

    def truth(self) -> Truth | None:
        """Words with their truth, or None for a prompt without causal words.

        A word is true where its Shapley value for the logit of the clip's own codes is positive. It is causal if that
        value or its leave-one-out value is not zero anywhere.
        """
        sign = 2.0 * self.generation.record["codes"].cpu() - 1
        value, lost = self.shares(lambda k, d, m: 1 / m), self.shares(lambda k, d, m: 1.0)
        causal = ((value != 0) | (lost != 0)).flatten(0, 1).any(0)
        if not causal.any():
            return None
        spoken = [i for i, word in enumerate(self.words) if word]
        mask = ((value * sign[..., None]).sum(0) > 0).T[spoken]
        words = tuple(
            TrueWord(
                *self.generation.spans[i],
                KINDS.get(self.words[i], "event" if self.words[i] in VOCABULARY else "filler"),
                bool(causal[i]),
                next((n for n, event in enumerate(EVENTS.values()) if self.words[i] in _names(event)), None),
            )
            for i in spoken
        )
        return Truth(words, mask, self.generation.frame_rate)


def _names(event: Event) -> set[str]:
    """The words that name an event."""
    return {word for term in event.terms for word in term.words if word not in KINDS}
