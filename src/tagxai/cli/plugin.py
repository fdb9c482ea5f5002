"""`tagxai plugin`: start a plugin, check one that is installed, and list what each of them brings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tagxai.authoring import writing
from tagxai.authoring.installed import IN_USE, installed_plugins
from tagxai.authoring.report import Finding
from tagxai.cli import display, options, parsing
from tagxai.cli.progress import stages
from tagxai.text.printable import printable

_STYLES = {"ok": "green", "note": "yellow", "FAILED": "red"}


def register(app: typer.Typer) -> None:
    plugin = typer.Typer(no_args_is_help=True, help="Start a plugin of your own, check it, and list those installed.")
    plugin.command(
        epilog="Examples: [bold]tagxai plugin new method word_order[/]\n\n"
        "[bold]tagxai plugin new generator my_model --out plugins/my-model[/]",
    )(new)
    plugin.command(
        epilog="Examples: [bold]tagxai plugin check tagxai-word-order[/]\n\n"
        "[bold]tagxai plugin check tagxai-dia --source checkpoints/small-dia[/]",
    )(check)
    plugin.command("list", epilog="Example: [bold]tagxai plugin list[/]")(list_plugins)
    app.add_typer(plugin, name="plugin")


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="method, metric, generator or latent-generator.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name, such as word_order.")],
    out: Annotated[Path | None, options.out_option("Default: tagxai-NAME, in this folder.")] = None,
) -> None:
    """Write a package that works as it is: code, a test, a README and its entry point."""
    folder = writing.write_plugin(kind, name, out)
    named = writing.PluginName.parse(name)
    console = display.out()
    console.print(Text.assemble("wrote ", (printable(str(folder)), "bold"), ". Next, with uv:\n"), soft_wrap=True)
    commands = (f"cd {folder}", "uv run pytest", f"uv run tagxai plugin check {named.package}")
    console.print(Text("\n".join(f"    {command}" for command in commands)), soft_wrap=True)
    console.print("\nIts README.md has the commands that use it. Without uv: [bold]pip install -e .[/], then the same.")


def check(
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="An installed package, or the folder of one.")],
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="FOLDER", help="A small model for generators that need one to be loaded."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of its methods, to make them quick."),
    ] = None,
) -> None:
    """Test every promise of a plugin: import, hooks, names, docstrings, contract, an explanation and a benchmark."""
    from tagxai.authoring.checking import check_package

    table = display.plain_table("of", "check", "result", "what was found")
    with stages() as stage:
        findings = check_package(
            package, source, parsing.parse_settings(settings or []), lambda finding: _announce(stage, finding)
        )
    for finding in findings.all:
        table.add_row(
            Text(printable(finding.subject), style="bold"),
            finding.check,
            Text(finding.outcome, style=_STYLES[finding.outcome]),
            Text(printable(finding.text)),
        )
    display.out().print(table)
    failed, total = sum(finding.outcome == "FAILED" for finding in findings.all), len(findings.all)
    display.note(f"{failed} of {total} checks failed" if failed else f"none of {total} checks failed")
    if failed:
        raise typer.Exit(1)


def _announce(stage: object, finding: Finding) -> None:
    """Show what has been done in place of the progress of one check."""
    stage(f"checked {finding.check} of {finding.subject}")  # type: ignore[operator]


def list_plugins() -> None:
    """List the installed plugins, what each of them brings, and those that are switched off or broken."""
    table = display.plain_table("plugin", "from", "brings", "state")
    for plugin in installed_plugins():
        table.add_row(
            Text(plugin.name, style="bold cyan"),
            Text(plugin.origin, style="dim"),
            Text(", ".join(plugin.brings) or "-"),
            Text(plugin.state, style="" if plugin.state == IN_USE else "yellow"),
        )
    console = display.out()
    if table.row_count:
        console.print(table)
    else:
        console.print("No plugin is installed. Start one: [bold]tagxai plugin new method NAME[/]")
