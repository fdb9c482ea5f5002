"""`tagxai app`: the page beside a rail where clips are asked for, edited and compared, in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from tagxai.cli import display, options
from tagxai.cli.progress import stages
from tagxai.errors import TagxaiError


def register(app: typer.Typer) -> None:
    app.command(
        "app",
        epilog="Examples: [bold]tagxai app --open[/]\n\n"
        "[bold]tagxai app --generator musicgen:facebook/musicgen-small --device cuda[/]\n\n"
        "[bold]tagxai app --host 0.0.0.0 --port 8080[/]  for others, who need the token of the printed address\n\n"
        "Ctrl+C stops it, and what was made is gone: export takes to keep them.",
    )(app_command)


def app_command(
    generator: Annotated[
        list[str] | None,
        typer.Option(
            *("--generator", "-g"),
            metavar="NAME[:SOURCE]",
            help="A model to offer; may be repeated. Default: tiny and latent, which are embedded.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; others than this machine's need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8765,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    open_page: Annotated[bool, typer.Option("--open", help="Open the app in the browser.")] = False,
) -> None:
    """Listen, point, compare and edit in the browser, for one person or several."""
    try:
        from tagxai.report.app.serving import App
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise TagxaiError("tagxai app needs starlette and uvicorn: pip install 'tagxai[app]'") from None
    from tagxai.report.app.models import Model, labels

    specs = generator or ["tiny", "latent"]
    names = labels(specs)
    for spec in specs:
        options.check_generator(spec)
    served = App(host, port)
    models = []
    with stages() as stage:
        for spec, name in zip(specs, names, strict=True):
            stage(f"loading {spec}")
            models.append(Model(name, options.load_model(spec, device, dtype)))
    typer.echo(served.address)
    display.note("Ctrl+C stops the app")
    if open_page and not webbrowser.open(served.address):
        display.note("no browser was found; open the address in one")
    served.run(models)
