"""From a name such as `captum:KernelShap` to a method class whose options are those of captum's signature."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from functools import cache
from importlib.util import find_spec

from tagxai.contract.method import Method
from tagxai.errors import TagxaiError, UnknownNameError, UnsupportedError
from tagxai.methods.captum.gradients import CaptumGradients
from tagxai.methods.captum.method import CaptumMethod
from tagxai.methods.captum.names import ALGORITHMS, PREFIX, REFUSED
from tagxai.methods.captum.options import captum_options
from tagxai.methods.captum.perturbations import CaptumPerturbations


@cache
def captum_method(name: str) -> type[Method]:
    """The method for one of captum's algorithms. Raises TagxaiError where captum lacks it, or is not installed."""
    algorithm_name = name.removeprefix(PREFIX)
    if algorithm_name in REFUSED:
        raise UnsupportedError(f"method {name!r} cannot explain these models: {REFUSED[algorithm_name]}")
    if algorithm_name not in ALGORITHMS:
        raise UnknownNameError("method", name, [PREFIX + known for known in ALGORITHMS])
    if any(find_spec(package) is None for package in ("captum", "sklearn")):
        raise TagxaiError(f"method {name!r} needs the extra 'captum': pip install 'tagxai[captum]'")
    import captum.attr

    algorithm = ALGORITHMS[algorithm_name]
    options = captum_options(getattr(captum.attr, algorithm_name).attribute)
    base: type[CaptumMethod] = CaptumGradients if algorithm.kind == "gradient" else CaptumPerturbations
    namespace = {
        "name": name,
        "algorithm": algorithm,
        "captum_options": tuple(options),
        "expense": algorithm.expense,
        "paper": algorithm.paper,
        "__doc__": algorithm.summary,
        "__module__": __name__,
    }
    fields = [
        (key, option.type, field(default=option.default, metadata={"text": option.description}))
        for key, option in options.items()
    ]
    return make_dataclass(algorithm_name, fields, bases=(base,), namespace=namespace, frozen=True)
