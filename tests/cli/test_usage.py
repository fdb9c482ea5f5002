"""A wrong use of any command is answered in one sentence, with exit status 2 and nothing made."""

import pytest
import typer
from cli_helpers import run

from tagxai.cli import app


def leaves(group=None, path=()):
    """Every command with its words, those of groups included."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


NUMBERS = [
    (words, max(param.opts, key=len), given)
    for words, command in leaves()
    for param in command.params
    if param.param_type_name == "option" and (param.min is not None or "duration" in param.name)
    for given in ("abc", "", "-3")
    if given != "-3" or param.min is not None
]


def one_sentence(found):
    assert found.exit_code == 2
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert "Usage" not in found.stderr
    return found.stderr.rstrip("\n")


def test_there_are_numbers_to_get_wrong_in_several_commands():
    assert {words[0] for words, _, _ in NUMBERS} >= {"explain", "generate", "edit", "bench", "amortise", "app", "check"}


@pytest.mark.parametrize(("words", "option", "given"), NUMBERS)
def test_a_wrong_number_is_named_with_what_was_expected(words, option, given, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = one_sentence(run(*words, f"{option}={given}"))
    assert said.startswith((f"{option} takes a number", f"{option} takes a whole number"))
    assert said.endswith(f", not {given!r}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "x", "--duration", "abc"], "--duration takes a number, not 'abc'"),
        (["explain", "x", "-dabc"], "--duration takes a number, not 'abc'"),
        (["explain", "x", "--duration", "-3"], "--duration takes a positive number of seconds, not -3"),
        (["generate", "x", "-d", "1", "--duration", "a b"], "--duration takes a number, not 'a b'"),
        (["generate", "x", "--seed", "1.5"], "--seed takes a whole number from 0 to 4294967295, not '1.5'"),
        (["edit", "x", "--repeats", "100"], "--repeats takes a whole number from 1 to 99, not '100'"),
        (["bench", "run", "--workers", "0"], "--workers takes a whole number of at least 1, not '0'"),
        (["explain", "x", "--by", "foo"], "--by takes one of 'word', 'phrase', 'token', not 'foo'"),
        (["convert", "a", "b", "--to", "x"], "--to takes one of 'transformers', 'audiocraft', not 'x'"),
        (["generate", "x", "--out"], "option '--out' needs a value"),
        (["explain", "x", "--force=1"], "option '--force' takes no value"),
        (["show"], "tagxai show needs FOLDER; tagxai show --help shows how it is called"),
        (["convert", "a", "b"], "tagxai convert needs --to; tagxai convert --help shows how it is called"),
        (["explainn"], "no command named 'explainn'; did you mean 'explain'?"),
        (["plugin", "neww"], "no command named 'neww'; did you mean 'new'?"),
        (
            ["explain", "-a dog barks"],
            "'-a dog barks' looks like an option, as it starts with a dash; put the options first, and -- before "
            "such a text",
        ),
        (
            ["explain", "--out", "OUT", "--a dog = wolf"],
            "'--a dog = wolf' looks like an option, as it starts with a dash; put the options first, and -- before "
            "such a text",
        ),
        (
            ["explain", "--", "-a dog", "--out"],
            "tagxai explain takes no further argument '--out'; options go before --",
        ),
        (["zzz"], "no command named 'zzz'; tagxai --help lists the commands"),
        (["--foo"], "no option named '--foo'; tagxai --help lists the options"),
        (["bench", "run", "--wrkers", "2"], "no option named '--wrkers'; did you mean '--workers'?"),
        (
            ["explain", "a", "dog barks"],
            "tagxai explain takes no further argument 'dog barks'; put a text of several words in quotes",
        ),
    ],
)
def test_each_kind_of_wrong_use_has_its_sentence(arguments, said, nothing_is_made):
    assert one_sentence(run(*arguments)) == said


def test_a_group_without_a_command_still_shows_its_help():
    found = run("plugin")
    assert "Usage" in found.output
    assert "new" in found.output
