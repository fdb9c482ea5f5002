"""Commands and their options. What they do is in the modules beside this one, imported when a command runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tagxai.errors import TagxaiError


class Sentences(TyperGroup):
    """A user's mistake is one sentence on stderr and exit code 2; Ctrl-C is one line and 130. Never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TagxaiError as error:
            from rich.console import Console
            from rich.text import Text

            Console(stderr=True).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("\ninterrupted; finished files are kept", file=sys.stderr)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Sentences,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Generator = Annotated[
    str, typer.Option("--generator", "-g", help="Name, or NAME:SOURCE with a model folder or hub id (`tagxai list`).")
]
Duration = Annotated[float | None, typer.Option(help="Seconds of audio; the generator's own default if not given.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed makes the same clip.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
GuidanceScale = Annotated[float | None, typer.Option(help="Classifier-free guidance; 1 is none.")]
TopK = Annotated[int | None, typer.Option(min=0, help="Draw from the k likeliest codes; 0 is all.")]
Temperature = Annotated[float | None, typer.Option(min=0, help="0 always takes the likeliest code.")]
Intervals = Annotated[
    list[str] | None, typer.Option("--interval", "-i", metavar="START:END", help="Seconds to ask about; repeatable.")
]


def _version(shown: bool) -> None:
    if shown:
        from importlib.metadata import version

        print(f"tagxai {version('tagxai')}")
        raise typer.Exit


@app.callback()
def tagxai(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Which words of a prompt made which seconds of the audio: heard, seen and measured.

    Start with: tagxai explain "a dog barks while rain falls"
    """


@app.command()
def explain(
    prompt: Annotated[str, typer.Argument(help="The words to make audio from.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results.")] = None,
    method: Annotated[str, typer.Option("--method", "-m", help="Attribution method (`tagxai list`).")] = "audiogenx",
    generator: Generator = "tiny",
    interval: Intervals = None,
    duration: Duration = None,
    seed: Seed = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method; repeatable (`tagxai methods NAME`)."),
    ] = None,
    audio_repeats: Annotated[int, typer.Option(min=1, help="Factual and counterfactual samples.")] = 1,
    guidance_scale: GuidanceScale = None,
    top_k: TopK = None,
    temperature: Temperature = None,
    device: Device = "auto",
    json_: Annotated[
        bool, typer.Option("--json", help="Print the words and scores as JSON instead of a table.")
    ] = False,
) -> None:
    """Make audio from PROMPT and say which words made which seconds.

    Writes explanation.json, scores.safetensors, the audio (original, factual, counterfactual, unconditional) as FLAC,
    heatmap.png and report.html.

    **Examples**

        tagxai explain "a dog barks while rain falls"

        tagxai explain "a siren followed by thunder" --interval 0:1.5 --interval 1.5:3 --out OUT

        tagxai explain "a bell rings" --method shapley --set operator=delete
    """
    from tagxai.cli.explain import Request, run

    sampling = {"guidance_scale": guidance_scale, "top_k": top_k, "temperature": temperature}
    run(
        Request(
            prompt,
            out,
            method,
            generator,
            interval or [],
            duration,
            seed,
            settings or [],
            audio_repeats,
            sampling,
            device,
        ),
        as_json=json_,
    )


@app.command()
def generate(
    prompts: Annotated[str, typer.Argument(metavar="PROMPTS", help="A prompt, or a .csv or .txt file of prompts.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the clips.")] = Path("tagxai-clips"),
    generator: Generator = "tiny",
    duration: Duration = None,
    seed: Seed = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Clips of each prompt, with the seeds that follow.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first prompts of a file.")] = None,
    guidance_scale: GuidanceScale = None,
    top_k: TopK = None,
    temperature: Temperature = None,
    device: Device = "auto",
) -> None:
    """Make audio, codes and a JSON file for one prompt or many. Interrupted runs go on where they were.

    A .csv needs a column `caption` or `prompt` (the layout of AudioCaps fits); a .txt has a prompt a line. A clip that
    is there already, made with the same settings, is not made again.

    **Examples**

        tagxai generate "a dog barks" --repeats 4 --out CLIPS

        tagxai generate prompts.csv --limit 20 --seed 7 --out CLIPS
    """
    from tagxai.cli.generate import run

    sampling = {"guidance_scale": guidance_scale, "top_k": top_k, "temperature": temperature}
    run(prompts, out, generator, duration, range(seed, seed + repeats), limit, sampling, device)


@app.command(name="list")
def list_() -> None:
    """Show all methods, generators and metrics, and where each comes from."""
    from tagxai.cli.listing import plugins

    plugins()


@app.command()
def methods(name: Annotated[str, typer.Argument(help="A method's name.")]) -> None:
    """Show one method: its paper, what it needs, and its settings for `--set`.

    **Example**

        tagxai methods audiogenx
    """
    from tagxai.cli.listing import method

    method(name)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A folder that `tagxai explain` wrote.")],
    interval: Intervals = None,
) -> None:
    """Print the words and scores of an explanation made earlier.

    **Example**

        tagxai show OUT --interval 1.0:2.5
    """
    from tagxai.cli.explain import show_folder

    show_folder(folder, interval or [])


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A folder that `tagxai explain` wrote.")]) -> None:
    """Make heatmap.png and report.html of an explanation again.

    **Example**

        tagxai report OUT
    """
    from tagxai.cli.explain import report_folder

    report_folder(folder)


def main() -> None:
    """The entry point of the command `tagxai`."""
    app()
