"""Amortised: a trained network predicts a teacher's scores in one pass (after FastSHAP; Jethani et al., ICLR 2022).

`tagxai amortise` trains it for one generator, on another method's scores: as CXPlain does on leave-one-out effects
(Schwab & Karlen, NeurIPS 2019), and unlike FastSHAP, which learns from the value function. It reads states of the
generator, not its input, so it belongs to that generator; see `network` for what it computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from tagxai import storage
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import Workload
from tagxai.errors import DamagedFileError, TagxaiError, UnsupportedError
from tagxai.lazy import torch
from tagxai.methods.amortised.network import LEARNED, clusters_of, look, predict, read_scores

PREFIX = "amortised:"
TRAIN = "`tagxai amortise` trains one"
SHIPPED = Path(__file__).parent


@dataclass(frozen=True)
class Amortised(Method):
    """Amortised: a network trained for the generator predicts a teacher's scores (after FastSHAP, ICLR 2022)."""

    name: ClassVar[str] = f"{PREFIX}FILE"
    family: ClassVar[str] = "other"
    expense: ClassVar[str] = "one forward pass, once trained for the generator"
    file: ClassVar[Path]

    def needed(self) -> frozenset[Capability]:
        """Attention, if the network was trained to read it."""
        return frozenset({"attention"}) if "C" in trained(self.file) else frozenset()

    def check_model(self, generator: Generator) -> None:
        if not torch.equal(trained(self.file)["generator"], fingerprint(generator)):
            raise UnsupportedError(
                f"the network in {str(self.file)!r} was trained for another generator than {generator.name!r} with the "
                f"weights that it has now; {TRAIN}"
            )

    def explain(self, run: Run) -> Scores:
        seen = look(run, attention="C" in trained(self.file))
        weights = {name: tensor.to(seen.hidden.device) for name, tensor in trained(self.file).items()}
        diagnostics = {}
        if (clusters := clusters_of(weights, seen.hidden)) is not None:
            diagnostics["clusters_of_frames"] = clusters.tolist()
        return Scores(read_scores(weights, predict(weights, seen.batch())), diagnostics=diagnostics)

    def peak_memory(self, work: Workload) -> int:
        return work.forward(1)


def amortised_method(name: str) -> type[Method]:
    """The method of `amortised:FILE`, with a file that `tagxai amortise` wrote. Raises TagxaiError."""
    given = name.removeprefix(PREFIX)
    shipped = SHIPPED / f"{given}.safetensors"
    file = shipped if given.isidentifier() and shipped.is_file() else Path(given)
    if not file.is_file():
        raise TagxaiError(f"method {name!r} needs the file of a trained network, and {given!r} is none; {TRAIN}")
    trained(file)
    return type("AmortisedFile", (Amortised,), {"name": name, "file": file, "__doc__": Amortised.__doc__})


@cache
def trained(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a trained network. Raises DamagedFileError for a file that holds something else."""
    weights = storage.read_tensors(file)
    if not {*LEARNED, "generator"} <= set(weights):
        raise DamagedFileError(f"{str(file)!r} does not hold a network that predicts scores; {TRAIN}")
    return weights


def fingerprint(generator: Generator) -> torch.Tensor:
    """The 32 bytes of a hash of the heads, which no two trainings share and which stay in float32 whatever the dtype.

    Raises UnsupportedError if a generator does not expose them.
    """
    import hashlib

    heads = generator.parameters_by_part().get("heads", ())
    if not heads:
        raise UnsupportedError(f"generator {generator.name!r} does not show the weights that a network could be for")
    whole = hashlib.sha256()
    for head in heads:
        whole.update(head.detach().float().cpu().contiguous().numpy().tobytes())
    return torch.tensor(list(whole.digest()), dtype=torch.uint8)
