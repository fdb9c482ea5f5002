"""Sampling settings as options: every generator declares its own, so they are looked up once a model is chosen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from tagxai.cli.usage import is_text, text_with_dash
from tagxai.contract.magnitude import check_magnitude
from tagxai.contract.request import Setting, read_settings
from tagxai.errors import TagxaiError, UnknownNameError

EPILOG = "Sampling settings of the model are options too, such as [bold]--guidance-scale 3[/]: \
[bold]tagxai generators NAME[/] lists them."
_GIVEN = "tagxai.cli.sampling"


class SamplingCommand(TyperCommand):
    """A command that keeps options which it does not know, such as `--denoising-steps 50`, for `given_sampling`."""

    context_class = typer.Context  # what functions ask for by type

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = [param for param in self.get_params(ctx) if isinstance(param, TyperOption)]
        takes_value = {name: not each.is_flag for each in own for name in (*each.opts, *each.secondary_opts)}
        takes_value |= dict.fromkeys(self.get_help_option_names(ctx), False)
        known, ctx.meta[_GIVEN] = split(args, takes_value)
        return super().parse_args(ctx, known)


def split(args: Sequence[str], takes_value: Mapping[str, bool]) -> tuple[list[str], dict[str, str]]:
    """The arguments that a command knows, and the values of the other options by the names of settings.

    `takes_value` holds the options of the command. Raises TagxaiError for an option that is almost one of them.
    """
    known: list[str] = []
    given: dict[str, str] = {}
    left = list(args)
    while left:
        argument = left.pop(0)
        if argument == "--":
            return [*known, argument, *left], given
        option, sign, value = argument.partition("=")
        if not option.startswith("--") or option in takes_value:
            known.append(argument)
            if takes_value.get(option) and not sign and left:
                known.append(left.pop(0))
            continue
        if is_text(argument):
            raise TagxaiError(text_with_dash(argument))
        near = get_close_matches(option, takes_value, n=1, cutoff=0.8)
        if near:
            raise TagxaiError(f"no option named {option!r}; did you mean {near[0]!r}?")
        if not sign:
            if not left or left[0].startswith("--"):
                raise TagxaiError(f"option {option!r} needs a value, such as {option} 3, or is no option")
            value = left.pop(0)
        given[_name(option)] = value
    return known, given


def given_sampling(context: typer.Context) -> dict[str, Any]:
    """What was given on the command line, for `check_sampling` to look up; `3` and `3.0` are one value.

    Raises TagxaiError for numbers that no setting of any model takes, before one is loaded.
    """
    return {name: _plain(option_of(name), text) for name, text in context.meta.get(_GIVEN, {}).items()}


def check_sampling(declared: Iterable[Setting], given: Mapping[str, Any], owner: str) -> None:
    """Raises TagxaiError naming the options that `owner` has, where it does not declare one or refuses its value."""
    declared = list(declared)
    names = {setting.name for setting in declared}
    for name in given:
        if name not in names:
            raise UnknownNameError(f"option, or sampling setting of {owner},", option_of(name), map(option_of, names))
    read_settings(declared, given, owner)


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def option_of(name: str) -> str:
    """The option of a setting."""
    return f"--{name.replace('_', '-')}"


def _plain(option: str, text: str) -> Any:
    """A number where the text is one, whole where it can be, else the text."""
    try:
        number = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 300 else inf)
    except ValueError:
        return text
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return text
    if not isinstance(number, int) and not isfinite(number):
        raise TagxaiError(f"{option} takes no number of such size: {number}")
    check_magnitude(option, number, seed=option == "--seed")
    return int(number) if isinstance(number, float) and number.is_integer() else number
