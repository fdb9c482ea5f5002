"""The page of errors: it has every class of error, and each of its sentences is one that the code says."""

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from cli_helpers import run

import tagxai
from tagxai.errors import TagxaiError
from tagxai.testing import ConformanceError

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
HOLE = "\0"


def subclasses(cls):
    return {cls}.union(*(subclasses(each) for each in cls.__subclasses__()))


def test_every_class_of_error_has_its_section_and_no_other():
    for module in walk_packages(tagxai.__path__, "tagxai."):
        text = Path(ROOT, "src", *module.name.split(".")).with_suffix(".py")
        if text.is_file() and "Error):" in text.read_text(encoding="utf-8"):
            import_module(module.name)
    ours = {cls.__name__ for cls in subclasses(TagxaiError) if cls.__module__.startswith("tagxai.")}
    assert set(re.findall(r"^## (\w+)$", PAGE, re.M)) == ours | {ConformanceError.__name__}


def test_commands_of_the_page_say_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```console\n\$ (.*)\n((?:.*\n)+?)```", PAGE)
    assert len(blocks) >= 15
    for command, sentence in blocks:
        if "--device cuda" in command and _has_cuda():
            continue
        done = run(*shlex.split(command)[1:])
        expected = re.escape(" ".join(sentence.split())).replace(re.escape("..."), ".*")
        assert re.fullmatch(expected, " ".join(done.output.split())), command
        assert done.exit_code == 2, command
        assert not any(tmp_path.iterdir()), command


def _has_cuda():
    import torch

    return torch.cuda.is_available()


def test_sentences_that_no_command_shows_are_in_the_code():
    sentences = [" ".join(text.split()) for text in re.findall(r"```text\n((?:.*\n)+?)```", PAGE)]
    assert len(sentences) >= 8
    templates = [
        re.compile(re.escape(text).replace(re.escape(HOLE), ".*"))
        for path in (ROOT / "src" / "tagxai").rglob("*.py")
        for text in _texts(path)
        if len(text.replace(HOLE, "")) >= 20  # a template of holes would match anything
    ]
    missing = [each for each in sentences if not any(template.fullmatch(each) for template in templates)]
    assert missing == []


def _texts(path):
    """The strings of a module, with a hole for each value in them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
