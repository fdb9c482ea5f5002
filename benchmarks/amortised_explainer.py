"""Amortised: a trained network predicts a teacher's effects in one pass (after FastSHAP; Jethani et al., ICLR 2022).

A teacher-forced pass gives a hidden state h[t] for each position, and the text encoder an embedding e[j] for each
token. For every codebook q, the network predicts the teacher's effect of token j on the code of q that t predicts:

    pair[t, j] = gelu(A h[t] + a) * (B e[j] + b)        effect[q, t, j] = (W gelu(U pair[t, j] + u) + w)[q]

FastSHAP never computes a Shapley value, but learns from the value function alone, through the least squares that define
the values. Here scoring makes a teacher's scores cheap, and the network regresses on them, as CXPlain does on
leave-one-out effects (Schwab & Karlen, NeurIPS 2019); their noise averages out (Covert et al., NeurIPS 2024). The
network reads states of the generator instead of raw input, so it belongs to one generator. Its effects are not shifted
to add up to the prompt's effect: that would take a second pass, without the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jaxtyping import Float, UInt8

from tagxai import storage
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.timeline import Timeline
from tagxai.contract.values import Generation
from tagxai.contract.workload import Workload
from tagxai.errors import DamagedFileError, TagxaiError, UnsupportedError
from tagxai.lazy import torch

NAMES = ("A", "a", "B", "b", "U", "u", "W", "w")
"""The learned tensors; a weights file also contains the scales of its inputs, and which generator it belongs to."""


@dataclass(frozen=True)
class Amortised(Method):
    """Amortised: a network predicts each token's effect in one pass (after FastSHAP; Jethani et al., ICLR 2022)."""

    name: ClassVar[str] = "amortised"
    expense: ClassVar[str] = "one forward pass, once trained for the generator"

    weights: str = ""
    """The file that `benchmarks/amortised.py` wrote for this generator."""

    def check_supported(self, generator: Generator) -> None:
        super().check_supported(generator)
        self.weights_for(generator)

    def weights_for(self, generator: Generator) -> dict[str, torch.Tensor]:
        """The weights trained for a generator. Raises TagxaiError if they are missing or another generator's."""
        trained = "train it by benchmarks/amortised.py"
        if not Path(self.weights).is_file():
            raise TagxaiError(f"method {self.name!r} needs weights=FILE, and {self.weights!r} is no file; {trained}")
        weights = storage.read_tensors(Path(self.weights))
        if not {*NAMES, "generator"} <= set(weights):
            raise DamagedFileError(f"{self.weights} does not hold the weights of method {self.name!r}; {trained}")
        if not torch.equal(weights["generator"], fingerprint(generator)):
            raise UnsupportedError(
                f"the weights in {self.weights!r} were trained for another generator than {generator.name!r} with the "
                f"weights it has now; {trained}"
            )
        return weights

    def explain(self, run: Run) -> Scores:
        hidden, embeddings = run.hidden_states().float(), run.conditioning.embeddings.float()
        weights = {name: tensor.to(hidden.device) for name, tensor in self.weights_for(run.model).items()}
        return Scores(at_frames(predict(weights, hidden, embeddings), run.generation.timeline)[0])

    def peak_memory(self, work: Workload) -> int:
        return work.forward(1)


def fingerprint(generator: Generator) -> UInt8[torch.Tensor, " bytes"]:
    """A hash of the codebook heads, which no two trainings share and which stay in float32 whatever the dtype.

    Raises UnsupportedError if a generator does not expose them.
    """
    heads = generator.parameters_by_part().get("heads", ())
    if not heads:
        raise UnsupportedError(f"generator {generator.name!r} does not show the weights that an explainer could be for")
    whole = hashlib.sha256()
    for head in heads:
        whole.update(head.detach().float().cpu().contiguous().numpy().tobytes())
    return torch.tensor(list(whole.digest()), dtype=torch.uint8)


def states(
    generator: Generator, generation: Generation
) -> tuple[Float[torch.Tensor, "1 positions dim"], Float[torch.Tensor, "1 tokens dim"]]:
    """The network's input, from one teacher-forced pass."""
    with torch.no_grad():
        conditioning = generator.encode_prompt([generation.prompt])
        hidden = generator.hidden_states(generation, conditioning)
    return hidden.float(), conditioning.embeddings.float()


def predict(
    weights: Mapping[str, torch.Tensor],
    hidden: Float[torch.Tensor, "batch positions dim"],
    embeddings: Float[torch.Tensor, "batch tokens dim"],
    dropout: float = 0.0,
) -> Float[torch.Tensor, "batch streams positions tokens"]:
    from torch.nn.functional import dropout as drop
    from torch.nn.functional import gelu, linear

    hidden = (hidden - weights["hidden_mean"]) / weights["hidden_scale"]
    embeddings = (embeddings - weights["embedding_mean"]) / weights["embedding_scale"]
    of_positions = gelu(linear(hidden, weights["A"], weights["a"]))
    of_tokens = linear(embeddings, weights["B"], weights["b"])
    pairs = drop(of_positions[:, :, None] * of_tokens[:, None], dropout)
    effects = linear(gelu(linear(pairs, weights["U"], weights["u"])), weights["W"], weights["w"])
    return effects.movedim(-1, 1) * weights["effect_scale"]


def at_frames(
    effects: Float[torch.Tensor, "batch streams positions tokens"], timeline: Timeline
) -> Float[torch.Tensor, "batch streams frames tokens"]:
    """The effects on each stream at the positions that predict its codes."""
    everywhere = timeline.to_frames(effects)  # of each stream, at the positions of each other one too
    return everywhere.diagonal(dim1=1, dim2=2).movedim(-1, 1)
