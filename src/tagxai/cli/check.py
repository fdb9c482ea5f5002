"""`tagxai check generator`: does a model keep its contract on this machine? A report to paste into an issue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tagxai import storage
from tagxai.authoring.report import Finding
from tagxai.cli import display, options
from tagxai.cli.progress import Stage, stages
from tagxai.errors import TagxaiError


def register(app: typer.Typer) -> None:
    check = typer.Typer(no_args_is_help=True, help="Check a model of yours on this machine.")
    check.callback()(lambda: None)  # so that `generator` stays a command when it is the only one
    check.command(
        epilog="Examples: [bold]tagxai check generator musicgen:checkpoints/musicgen-small[/]\n\n"
        "[bold]tagxai check generator audiogen:facebook/audiogen-medium --device cuda --golden audiogen.json[/]",
    )(generator)
    app.add_typer(check, name="check")


def generator(
    name: Annotated[str, typer.Argument(metavar="NAME[:SOURCE]", help="As for [bold]--generator[/].")],
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    duration: Annotated[
        float, typer.Option("--duration", "-d", min=0.1, metavar="SECONDS", help="Of the clips that are timed.")
    ] = 2.0,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="Explains a clip; default: the model's own.")
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option("--golden", metavar="FILE.json", help="Compare with this fingerprint; a new file is written."),
    ] = None,
) -> None:
    """Check a model: contract, fingerprint, time, memory and one explanation. Nothing is downloaded.

    Exit status: 0 if all checks passed, 1 if one failed, 2 if the model cannot be loaded.
    """
    from tagxai.authoring.model_check import check_model
    from tagxai.generators.sources import no_downloads

    expected = storage.read_json(golden) if golden is not None and golden.exists() else None
    if expected is not None and not {"record", "log_prob", "loudness"} <= expected.keys():
        raise TagxaiError(f"{golden} is no fingerprint of `tagxai check generator`")
    with stages() as stage, no_downloads():
        stage("loading the model")
        found = check_model(
            lambda: options.load_model(name, device, dtype),
            duration=duration,
            method=method,
            expected=expected,
            on_finding=lambda finding: _announce(stage, finding),
        )
    display.out().print(Text(found.markdown(name)), soft_wrap=True)
    if golden is not None and expected is None and found.fingerprint:
        storage.write_json(golden, found.fingerprint)
        display.note(f"wrote {golden}")
    if found.findings.failed:
        raise typer.Exit(1)


def _announce(stage: Stage, finding: Finding) -> None:
    stage(f"checked {finding.check}")
