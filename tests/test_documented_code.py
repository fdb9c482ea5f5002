"""Every block of code in README and the documentation runs, or says why not; then its options exist.

Blocks of a page share one folder and one namespace, in order. What needs a model hub, a GPU or minutes is preceded by
`<!-- not run: REASON -->`.
"""

import re
import shutil
import tomllib
import warnings

import pytest
from cli_helpers import run
from documented import CODE, OTHER, ROOT, blocks, pages, program
from made_once import made_once
from typer.core import TyperCommand

ALL = [block for page in pages() for block in blocks(page)]
ELSEWHERE = {"docs/errors.md"}  # whose commands fail on purpose: see `test_error_catalogue.py`
RUN = sorted(
    {block.page for block in ALL if block.language in CODE and not block.reason and not block.is_included} - ELSEWHERE
)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
OUTSIDE = {"pip", "uv", "uvx", "ray", "git", "cd", "split", "python", "try/bin/tagxai", "pytest", "mkdocs", ".ci/run"}
"""Programs that are not run here: they install, serve or take long."""


def test_every_block_says_what_it_is():
    assert len(ALL) > 60
    assert {str(block): block.language for block in ALL if block.language not in CODE | OTHER} == {}


@pytest.fixture(scope="module", autouse=True)
def shared():
    """Pages ask for the same model, and many for the same clip."""
    with made_once():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders that commands have written, by the command: pages that begin alike begin with a copy."""
    return tmp_path_factory.mktemp("made"), {}


@pytest.mark.parametrize("page", RUN)
def test_the_code_of_a_page_runs(page, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    namespace, output = {"__name__": page}, ""
    for block in blocks(page):
        if block.language == "python" and not block.is_included and not block.reason:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is heard in a clip, which is the reader's to see
                before = set(namespace)
                exec(compile(block.text, str(block), "exec"), namespace)
                for name in sorted(set(namespace) - before):
                    if name.startswith("test_"):
                        namespace[name]()
        elif block.language in {"bash", "console"} and not block.reason:
            output = "".join(_run(words, made) for words in block.commands())
            _check_shown(block, block.shown() if block.language == "console" else [], output)
        elif block.language == "text" and block.follows:
            _check_shown(block, block.shown(), output)


def _run(words, made):
    """The output of a command; those of other programs than tagxai are not run."""
    folder, known = made
    if words[0] == "printf":
        text, target = words[1], words[-1]
        with open(target, "w", encoding="utf-8") as file:
            file.write(text.encode().decode("unicode_escape"))
        return ""
    words = program(words)
    if words[0] != "tagxai":
        assert words[0] in OUTSIDE, words
        return ""
    key = tuple(words)
    out = words[words.index("--out") + 1] if "--out" in words and words[1] in {"explain", "edit"} else None
    if out and "--prompts" not in words and key in known:
        shutil.copytree(folder / str(known[key][0]), out, dirs_exist_ok=True)
        return known[key][1]
    cheap = [] if out or words[1] != "explain" or "--audio-repeats" in words else ["--audio-repeats", "0"]
    done = run(*words[1:], *cheap)  # clips to compare are made where a page goes on with them
    assert done.exit_code == 0, (words, done.output)
    if out and "--prompts" not in words:
        shutil.copytree(out, folder / str(len(known)))
        known[key] = len(known), done.output
    return done.output


def _check_shown(block, lines, output):
    """What a page shows as output is in the output."""
    said = {" ".join(line.split()) for line in output.splitlines()}
    missing = [line for line in lines if " ".join(line.split()) not in said]
    assert not missing, f"{block} shows {missing}, but the commands said {output}"


def test_commands_that_are_not_run_have_options_that_exist(monkeypatch):
    monkeypatch.setattr(TyperCommand, "invoke", lambda self, context: None)
    marked = [block for block in ALL if block.reason and block.language in {"bash", "console"}]
    assert len(marked) >= 10
    for block in marked:
        for words in map(program, block.commands()):
            if words[0].endswith("tagxai"):
                done = run(*words[1:])
                assert done.exit_code == 0, (str(block), words, done.output)
            else:
                assert words[0] in OUTSIDE, (str(block), words)


def test_python_that_is_not_run_compiles_and_imports_what_exists():
    marked = [block for block in ALL if block.reason and block.language == "python"]
    assert marked
    for block in marked:
        compile(block.text, str(block), "exec")
        imports = re.findall(r"^(?:from|import) tagxai.*", block.text, re.M)
        exec("\n".join(imports), {})


def test_extras_that_are_named_exist():
    named = {
        extra.strip()
        for block in ALL
        for extras in re.findall(r"tagxai\[([\w,-]+)\]|--extra (\w+)", block.text)
        for extra in "".join(extras).split(",")
    }
    assert named
    assert named <= set(EXTRAS)


def test_programs_that_measure_exist_and_have_the_options_that_are_named():
    for block in ALL:
        for words in map(program, block.commands() if block.language in {"bash", "console"} else []):
            if words[:1] == ["python"] and words[1].endswith(".py"):
                source = (ROOT / words[1]).read_text(encoding="utf-8")
                missing = [word for word in words[2:] if word.startswith("--") and f'"{word}"' not in source]
                assert not missing, (str(block), missing)
