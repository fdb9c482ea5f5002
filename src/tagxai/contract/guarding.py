"""What surrounds every call of a generator, whoever wrote it: the caller's state is neutral inside and put back after,
and what cannot be used (a device, numbers that are not finite, a model that memory does not hold) is named at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial, wraps
from typing import Any

from tagxai.contract.devices import check_device, check_dtype
from tagxai.contract.finite import check_found, check_weights
from tagxai.contract.foreign import errors_named, exits_named, is_built_in, printing_to_stderr
from tagxai.contract.request import check_prompts, check_requests
from tagxai.contract.shortage import is_out_of_memory, naming_shortage
from tagxai.contract.state import neutral_state, neutral_torch
from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import TagxaiError, error_sentence

CALLS: Mapping[str, str] = {
    "generate_one": "audio samples",
    "generate_many": "audio samples",
    "decode": "audio samples",
    "encode_prompt": "embeddings",
    "encode_audio": "codes",
    "forward": "hidden states",
    "hidden_states": "hidden states",
    "hidden_states_many": "hidden states",
    "forward_from": "hidden states",
    "prefix_state": "hidden states",
    "isolated_states": "hidden states",
    "truth": "truth",
}
"""The methods that are guarded, and what a tensor that they give is called."""

_GIVEN: Mapping[str, tuple[str, Callable[[object], None]]] = {
    "generate_many": ("requests", check_requests),
    "encode_prompt": ("prompts", check_prompts),
}
"""Their first arguments that are easily mistaken, and what looks at them."""


def guard(cls: type) -> None:
    """Guard the methods that a class of generators itself defines."""
    for name, what in CALLS.items():
        function = vars(cls).get(name)
        if callable(function):
            setattr(cls, name, _guarded(function, what))
    load = vars(cls).get("load")
    if isinstance(load, classmethod):
        cls.load = classmethod(_guarded_load(load.__func__))  # type: ignore[attr-defined]


def _guarded(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    makes_audio = function.__name__.startswith("generate")
    name, check_given = _GIVEN.get(function.__name__, ("", None))

    @wraps(function)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        if check_given is not None:
            check_given(arguments[0] if arguments else options.get(name))
        # Passes leave it to their caller, who may try a smaller batch.
        shortage = (
            naming_shortage("to make audio", "use a shorter --duration, --dtype bfloat16 or a smaller model")
            if makes_audio
            else nullcontext()
        )
        named: AbstractContextManager[None] = nullcontext()
        if not is_built_in(type(self)):
            named = exits_named(f"generator {self.name!r}")
            if makes_audio:
                errors: list[Exception] = []
                if (report := options.get("on_progress")) is not None:
                    options["on_progress"] = _noting_errors(report, errors)
                named = errors_named(f"generator {self.name!r}", errors)
        with named, shortage, neutral_state(self):
            found = function(self, *arguments, **options)
            check_found(self, found, what)
            return found

    return call


def _noting_errors(report: OnProgress, errors: list[Exception]) -> OnProgress:
    """The caller's report of progress, whose errors are not the generator's: they are added to `errors`."""

    def noting(progress: Progress) -> None:
        try:
            report(progress)
        except Exception as error:
            errors.append(error)
            raise

    return noting


def _guarded_load(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def load(cls: Any, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> Any:
        check_device(device)
        check_dtype(dtype)
        model = f"model {source!r}" if source else f"the model of generator {cls.name!r}"
        remedy = "use --dtype bfloat16, a smaller model, or another --device"
        with naming_shortage(f"for {model} on device {device!r}", remedy), neutral_torch():
            loaded = function if is_built_in(cls) else partial(_loaded_apart, function)
            generator = loaded(cls, source, device=device, dtype=dtype)
            check_weights(generator)
            return generator

    return load


def _loaded_apart(function: Callable[..., Any], cls: Any, source: str | None, **options: str) -> Any:
    """What somebody else's class loads. Raises TagxaiError for all that goes wrong but a lack of memory."""
    what = f"generator {cls.name!r}"
    try:
        with exits_named(what), printing_to_stderr():
            found = function(cls, source, **options)
    except TagxaiError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise TagxaiError(f"{what} failed to load: {error_sentence(error)}") from error
    if not hasattr(found, "encode_prompt"):
        raise TagxaiError(f"{what} failed to load: it gave {type(found).__name__}, not a generator")
    return found
