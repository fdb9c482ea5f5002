"""Commands of tagxai as tests run them."""

from typer.testing import CliRunner

from tagxai.cli import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")
