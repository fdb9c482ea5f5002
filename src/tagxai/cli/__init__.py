"""The command line. Every command is a thin layer over the library; only those that need torch load it."""

from __future__ import annotations

import errno
import gc
import os
import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from tagxai.cli import (
    amortise,
    ask,
    bench,
    catalogue,
    check,
    convert,
    edit,
    effects,
    evaluate,
    explain,
    export,
    generate,
    plugin,
    show,
)
from tagxai.cli import app as app_in_browser
from tagxai.cli.display import complain, keep_stdout_for_json, note
from tagxai.cli.leaving import leave
from tagxai.cli.usage import HelpAsked, UsageError, usage_sentence
from tagxai.contract.interrupts import ctrl_c_noticed
from tagxai.errors import TagxaiError, error_sentence
from tagxai.registering.registry import PluginWarning, registry

_ARGUMENTS = "tagxai.cli.arguments"


class Commands(TyperGroup):
    """Reports an error of any command in one sentence, and what is wrong with the plugins that it needed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = list(args)
        try:
            return super().parse_args(ctx, args)
        except HelpAsked:
            raise
        except UsageError as error:
            _stop(usage_sentence(error, args), 2)

    def invoke(self, ctx: Any) -> Any:
        try:
            with ctrl_c_noticed() as ctrl, warnings.catch_warnings():
                warnings.simplefilter("ignore", PluginWarning)  # they are reported below, without a line of code
                return super().invoke(ctx)
        except TagxaiError as error:
            _stop(str(error), 2)
        except HelpAsked:
            raise
        except UsageError as error:
            _stop(usage_sentence(error, ctx.meta[_ARGUMENTS]), 2)
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            if ctrl.pressed:
                _stop("interrupted", 130)
            _stop(f"a plugin, or a library, ended the command by {error_sentence(error)}", 2)
        except OSError as error:
            if error.errno == errno.EPIPE or error.strerror is None:
                raise
            _stop(f"{error.filename or 'a file'}: {error.strerror}", 2)
        finally:
            for problem in registry().problems:
                note(problem)


def _stop(message: str, code: int) -> NoReturn:
    complain(message)
    raise typer.Exit(code) from None


def _print_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tagxai {version('tagxai')}")
        raise typer.Exit
    return wanted


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")


@app.callback(epilog='Start with: [bold]tagxai explain "a dog barks while rain falls"[/]')
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which words of a prompt made which seconds of the audio: heard and measured."""


for command in (
    *(explain, show, app_in_browser, export, ask, effects, edit, generate, bench, evaluate),
    *(amortise, convert, catalogue, check, plugin),
):
    command.register(app)


def main() -> None:
    # what torch and transformers import stays: looking through it for garbage again and again takes 6 % of an explain
    gc.set_threshold(50_000, 20, 50)
    # the progress bars of libraries that load models would overwrite ours
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if "--json" in sys.argv and "--help" not in sys.argv:
        keep_stdout_for_json()
    try:
        app(prog_name="tagxai")
    except SystemExit as ended:
        leave(ended)
