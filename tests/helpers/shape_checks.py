"""Types and shapes of tagxai's own code are checked while the tests run: jaxtyping's import hook, with beartype.

jaxtyping binds the arguments of every call to compare their shapes, and checks them twice. Few signatures name a shape:
beartype alone checks the others, at a fraction of the time.
"""

import re
from functools import update_wrapper
from inspect import isgeneratorfunction
from types import CodeType, FunctionType
from typing import Any, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

# A float may be an int, as for mypy; a violation is what jaxtyping raises, a TypeError.
check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))

_CHECKED = "__beartype_func"
"""The argument of beartype's checks that holds the function that they call."""

_written: dict[CodeType, FunctionType] = {}
"""The checks of each function's code: a function inside another is defined again at each call of that."""

_NAMES_A_SHAPE = re.compile(r"\b(Float|Int|Bool)\b")
_jaxtyped = jaxtyping.jaxtyped


def install() -> None:
    """Check all modules of tagxai that are imported from now on: the registry imports methods when first asked."""
    jaxtyping.jaxtyped = _jaxtyped_where_shapes_are_named  # the hook writes this name above functions and classes
    jaxtyping.install_import_hook("tagxai", "shape_checks.check")


def _jaxtyped_where_shapes_are_named(*, typechecker):
    def decorate(thing):
        shaped = not isinstance(thing, FunctionType) or _NAMES_A_SHAPE.search(str(thing.__annotations__))
        # Of a generator beartype makes another, whose frame would pass for one of somebody who suspends an edit.
        if not shaped and not isgeneratorfunction(thing):
            return _checked(thing)
        return _jaxtyped(thing, typechecker=typechecker)

    return decorate


def _checked(function):
    """As jaxtyping does it: what cannot be evaluated yet (imports for mypy only, classes further down) is anything."""
    if (known := _written.get(function.__code__)) is not None:
        found = FunctionType(known.__code__, known.__globals__, known.__name__, known.__defaults__, known.__closure__)
        found.__kwdefaults__ = known.__kwdefaults__ | {_CHECKED: function}
        return update_wrapper(found, function)
    written = function.__annotations__
    function.__annotations__ = {name: _evaluated(hint, function.__globals__) for name, hint in written.items()}
    found = check(function)
    function.__annotations__ = found.__annotations__ = written
    if "<locals>" in function.__qualname__ and _CHECKED in (getattr(found, "__kwdefaults__", None) or {}):
        _written[function.__code__] = found
    return found


def _evaluated(hint, names):
    def holder(): ...

    holder.__annotations__ = {"hint": hint}
    try:
        return get_type_hints(holder, names, include_extras=True)["hint"]
    except Exception:
        return Any
