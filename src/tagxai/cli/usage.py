"""A wrong use of the command line, in one sentence: what was given, what was expected, and the choices."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer

# typer has these classes from click, or from its own copy of click, by its version
_CLICK = sys.modules[typer.BadParameter.__module__]
UsageError: type[Exception] = _CLICK.UsageError
HelpAsked: type[Exception] = _CLICK.NoArgsIsHelpError
"""Raised where a group of commands is called without one: its text is the help."""


def usage_sentence(error: Any, arguments: Sequence[str]) -> str:
    """The sentence for a usage error of typer, in a command line of these `arguments`."""
    command = error.ctx.command_path if error.ctx else "tagxai"
    if isinstance(error, _CLICK.MissingParameter):
        return f"{command} needs {_names(error.param)[0]}; {command} --help shows how it is called"
    if isinstance(error, _CLICK.BadParameter):
        return _bad_value(error, arguments)
    if isinstance(error, _CLICK.NoSuchOption):
        for argument in arguments:
            if is_text(argument) and argument.startswith(error.option_name):
                return text_with_dash(argument)
        near = " or ".join(map(repr, error.possibilities or ()))
        hint = f"did you mean {near}?" if near else f"{command} --help lists the options"
        return f"no option named {error.option_name!r}; {hint}"
    if isinstance(error, _CLICK.BadOptionUsage):
        return f"option {error.option_name!r} {'needs a' if 'requires' in error.message else 'takes no'} value"
    if extra := re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", error.message):
        hint = "options go before --" if "--" in arguments else "put a text of several words in quotes"
        return f"{command} takes no further argument {extra[1]!r}; {hint}"
    if unknown := re.match(r"No such command '(.*?)'\.?(?: Did you mean (.*)\?)?", error.message):
        near = (unknown[2] or "").replace(", ", " or ")
        hint = f"did you mean {near}?" if near else f"{command} --help lists the commands"
        return f"no command named {unknown[1]!r}; {hint}"
    return error.format_message()


def is_text(argument: str) -> bool:
    """Whether this is a text of several words that starts with a dash, and no option."""
    option = argument.partition("=")[0]
    return option.startswith("-") and len(option.split()) > 1


def text_with_dash(text: str) -> str:
    """The sentence for a text that was taken for an option."""
    return f"{text!r} looks like an option, as it starts with a dash; put the options first, and -- before such a text"


def _bad_value(error: Any, arguments: Sequence[str]) -> str:
    param, message = error.param, error.message.strip().rstrip(".").removeprefix("Value error, ")
    if param is None:
        return message
    names = _names(param)
    choices = re.search(r"is not one of (.+)", message)
    if choices:
        expected = f"one of {choices[1]}"
    elif re.search(r"\b(number|integer|float|than|range|finite)\b", message):
        expected = _number(param, message)
    else:
        return f"{names[0]}: {message}"
    given = _given(names, arguments)
    return f"{names[0]} takes {expected}" + (f", not {given!r}" if given is not None else "")


def _names(param: Any) -> list[str]:
    """What an option or argument is called, its usual name first."""
    if param.param_type_name == "argument":
        return [param.metavar or param.name.upper()]
    return sorted([*param.opts, *param.secondary_opts], key=lambda name: -len(name))


def _number(param: Any, message: str) -> str:
    whole = "integer" in message or getattr(getattr(param, "type_descriptor", None), "annotation", None) is int
    kind, low, high = "a whole number" if whole else "a number", param.min, param.max
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    return f"{kind} of at least {low}" if low is not None else f"{kind} of at most {high}" if high is not None else kind


def _given(names: Sequence[str], arguments: Sequence[str]) -> str | None:
    """The last text that an option was given, which is the one that counts; None where it is not found."""
    for place in reversed(range(len(arguments))):
        argument = arguments[place]
        if argument in names and place + 1 < len(arguments):
            return arguments[place + 1]
        for name in names:
            if name.startswith("--") and argument.startswith(f"{name}="):
                return argument.removeprefix(f"{name}=")
            if not name.startswith("--") and argument.startswith(name) and argument != name:
                return argument.removeprefix(name)
    return None
